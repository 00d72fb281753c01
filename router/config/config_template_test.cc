#include "router/config/config_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "router/config/environment.h"
#include "router/config/parse_config.h"

namespace kvroute {
namespace {

using testing::HasSubstr;

TEST(ConfigTemplateTest, ReadsBackAsTheDefaultsWithAndWithoutItsCommentSigns) {
  const std::string text = ConfigTemplate();
  const std::string active = std::regex_replace(text, std::regex("(^|\n)( *)#([a-z])"), "$1$2$3");
  EXPECT_NE(active, text);
  for (const std::string& file : {text, active}) {
    const auto config = ParseConfig(file, "template", {});
    ASSERT_TRUE(config.ok()) << config.status() << "\n" << file;
    EXPECT_EQ(PrintConfig(*config), PrintConfig(ServeConfig{}));
  }
}

TEST(ConfigTemplateTest, HasEveryFieldWithItsVariable) {
  const std::string text = ConfigTemplate();
  for (const std::string& path : EnvironmentFields()) {
    EXPECT_THAT(text, HasSubstr(EnvironmentNameOf(path))) << path;
  }
  EXPECT_THAT(text, HasSubstr("\n#workers: []\n"));
  EXPECT_THAT(text, HasSubstr("worker_id: Name of the worker"));
}

TEST(ConfigTemplateTest, LinesAreReadable) {
  const std::string text = ConfigTemplate();
  for (size_t at = 0, end = 0; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
    ASSERT_LE(end - at, 120u) << text.substr(at, end - at);
  }
}

}  // namespace
}  // namespace kvroute
