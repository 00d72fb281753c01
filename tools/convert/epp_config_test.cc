// Files of llm-d's and what they become: testdata/NAME.yaml and, beside it, NAME.golden.
#include "tools/convert/epp_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "indexer/base/read_file.h"
#include "router/config/parse_config.h"

namespace kvroute {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Folder() { return std::string(KVROUTE_CONVERT_TESTDATA) + "/"; }

std::string Read(const std::string& name) {
  return ReadFile(Folder() + name, size_t{1} << 20).value_or("");
}

// All that a person would see, in one text.
std::string Outcome(const std::string& name, const EppConversion& options) {
  const auto converted = ConvertEppConfig(Read(name + ".yaml"), name + ".yaml", options);
  if (!converted.ok()) return "refused:\n" + std::string(converted.status().message()) + "\n";
  std::string out = converted->yaml;
  for (const std::string& note : converted->notes) out += "note: " + note + "\n";
  return out;
}

// KVROUTE_WRITE_GOLDEN=1 writes the files anew, for a person to look at the difference.
void ExpectGolden(const std::string& golden, const std::string& outcome) {
  if (std::getenv("KVROUTE_WRITE_GOLDEN") != nullptr) std::ofstream(Folder() + golden) << outcome;
  EXPECT_EQ(outcome, Read(golden));
}

TEST(EppConfigTest, BecomesWhatTheGoldenFilesSay) {
  for (const std::string name : {"precise", "prefill", "file", "listener", "wrong"}) {
    SCOPED_TRACE(name);
    ExpectGolden(name + ".golden", Outcome(name, {}));
  }
}

TEST(EppConfigTest, UnknownPartsAreNotedOnRequest) {
  EppConversion options;
  options.ignore_unknown = true;
  const auto converted = ConvertEppConfig(
      "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\nplugins:\n- type: dice-scorer\n",
      "f", options);
  ASSERT_TRUE(converted.ok()) << converted.status();
  ASSERT_EQ(converted->notes.size(), 2u);
  EXPECT_EQ(converted->notes[0],
            "config f:4: dice-scorer: kvroute has nothing like this plugin: left out");
  EXPECT_THAT(converted->notes[1], HasSubstr("name the pool"));
  // What is wrong stays wrong.
  EXPECT_FALSE(ConvertEppConfig(Read("wrong.yaml"), "wrong.yaml", options).ok());
}

TEST(EppConfigTest, ThePoolOfTheFlagsOutranksTheFilesSelector) {
  EppConversion options;
  options.pool = "vllm";
  options.kube_namespace = "inference";
  const auto converted = ConvertEppConfig(Read("precise.yaml"), "f", options);
  ASSERT_TRUE(converted.ok()) << converted.status();
  EXPECT_THAT(converted->yaml, HasSubstr("    pool: \"vllm\"\n    namespace: \"inference\"\n"));
  EXPECT_THAT(converted->yaml, Not(HasSubstr("selector")));
}

TEST(EppConfigTest, WhatItWritesIsTaken) {
  for (const std::string name : {"precise", "prefill", "file", "listener"}) {
    const auto converted = ConvertEppConfig(Read(name + ".yaml"), name, {});
    ASSERT_TRUE(converted.ok()) << converted.status();
    EXPECT_TRUE(ParseConfig(converted->yaml, name, {}).ok());
  }
}

TEST(EppConfigTest, WhatIsNoSuchFileIsRefusedWithItsPlace) {
  const std::pair<const char*, const char*> wrong[] = {
      {"", "is no EndpointPickerConfig"},
      {"- 1", "is no EndpointPickerConfig"},
      {"kind: EndpointPickerConfig\napiVersion: v9\n", "config f:2: apiVersion: \"v9\" is none of"},
      {"kind: [", "config f:"}};
  for (const auto& [text, message] : wrong) {
    const auto converted = ConvertEppConfig(text, "f", {});
    ASSERT_FALSE(converted.ok()) << text;
    EXPECT_THAT(std::string(converted.status().message()), HasSubstr(message));
  }
  // A name with quotes and line ends stays one value.
  const auto converted = ConvertEppConfig(
      "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\nplugins:\n- {type: "
      "file-discovery, parameters: {path: 'a\"b: c'}}\n",
      "f", {});
  ASSERT_TRUE(converted.ok()) << converted.status();
  EXPECT_EQ(ParseConfig(converted->yaml, "f", {})->discovery.file, "a\"b: c");
}

}  // namespace
}  // namespace kvroute
