#include "tools/decode/decode_command.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "indexer/event/decoder.h"
#include "test/support/wire_builder.h"
#include "tools/command_line/command_line.h"
#include "tools/decode/payload_json.h"

namespace kvroute {
namespace {

using namespace wire;
using nlohmann::ordered_json;

struct Outcome {
  int exit_code = 0;
  std::vector<ordered_json> lines;
};

class DecodeCommand : public testing::Test {
 protected:
  DecodeCommand()
      : folder_(std::filesystem::temp_directory_path() /
                ("kvroute_decode_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~DecodeCommand() override { std::filesystem::remove_all(folder_); }

  std::string File(const std::string& name, const std::string& payload) {
    const std::string path = folder_ / name;
    std::ofstream(path, std::ios::binary) << payload;
    return path;
  }

  Outcome Decode(std::vector<std::string> arguments) {
    CommandLine command_line("kvroute", "");
    Outcome run;
    AddDecodeCommand(&command_line);
    arguments.insert(arguments.begin(), "decode");
    testing::internal::CaptureStdout();
    run.exit_code = command_line.Run(std::move(arguments));
    std::istringstream output(testing::internal::GetCapturedStdout());
    for (std::string line; std::getline(output, line);) {
      run.lines.push_back(ordered_json::parse(line));
    }
    return run;
  }

 private:
  const std::filesystem::path folder_;
};

TEST_F(DecodeCommand, PrintsOneLineAPayload) {
  const std::string good = File("good", Batch({Removed(7)}));
  const std::string bad = File("bad", "garbage");
  Outcome run = Decode({good, good});
  EXPECT_EQ(run.exit_code, 0);
  ASSERT_EQ(run.lines.size(), 2u);
  EXPECT_EQ(run.lines[0]["file"], good);

  run = Decode({"--engine", "sglang", good, bad, good});
  EXPECT_EQ(run.exit_code, 1);
  ASSERT_EQ(run.lines.size(), 3u);
  EXPECT_EQ(run.lines[1].dump(), R"({"file":")" + bad + R"(","status":"rejected",)" +
                                     R"("reason":"envelope","ts":null,"rank":null,"events":[],)" +
                                     R"("skipped":[]})");
  EXPECT_EQ(run.lines[2]["status"], "ok");
}

TEST_F(DecodeCommand, AFileThatCannotBeReadIsALineToo) {
  const Outcome run = Decode({"/nonexistent/payload"});
  EXPECT_EQ(run.exit_code, 1);
  ASSERT_EQ(run.lines.size(), 1u);
  EXPECT_EQ(run.lines[0]["status"], "rejected");
  EXPECT_EQ(run.lines[0]["reason"], "unreadable: No such file or directory");
  EXPECT_EQ(Decode({"/"}).lines.at(0)["reason"], "unreadable: Is a directory");
}

TEST_F(DecodeCommand, AWrongCommandLineIsTwo) {
  EXPECT_EQ(Decode({}).exit_code, 2);
  EXPECT_EQ(Decode({"--engine", "tgi", "x"}).exit_code, 2);
  EXPECT_EQ(Decode({"--verbose", "x"}).exit_code, 2);
}

std::string JsonOf(const std::string& payload) {
  Decoder decoder;
  DecodedBatch batch;
  EXPECT_EQ(decoder.Decode(payload, &batch), DecodeReason::kOk);
  return DecodedJson("f", batch);
}

TEST(PayloadJson, HasTheseMembersInThisOrder) {
  const std::string extra_keys =
      Array({Array({Str("sql"), Array({Str("image"), Int(-4)}), Bin("\x01\xff"), Double(0.5)})});
  const std::string stored = StoredMap({{"block_hashes", Array({Int(-1)})},
                                        {"parent_block_hash", Uint(~uint64_t{1})},
                                        {"lora_name", Str("sql")},
                                        {"extra_keys", extra_keys},
                                        {"group_idx", Uint(0)},
                                        {"kv_cache_spec_kind", Str("full_attention")}});
  const std::string cleared = Array({Str("AllBlocksCleared")});
  EXPECT_EQ(
      JsonOf(Batch({stored, Removed(7), cleared, kNil})),
      R"({"file":"f","status":"ok","reason":null,"ts":1757500000.25,"rank":0,"events":[)"
      R"({"type":"stored","block_hashes":["18446744073709551615"],"parent":"18446744073709551614",)"
      R"("token_ids":[100,101,102,103],"block_size":4,"tier":"gpu","lora_name":"sql",)"
      R"("cache_salt":null,"group_idx":0,"spec_kind":"full_attention",)"
      R"("extra_keys":[["sql",["image",-4],{"bytes":"01ff"},0.5]]},)"
      R"({"type":"removed","block_hashes":["7"],"parent":null,"token_ids":[],"block_size":null,)"
      R"("tier":"gpu","lora_name":null,"cache_salt":null,"group_idx":null,"spec_kind":null,)"
      R"("extra_keys":null},)"
      R"({"type":"cleared","block_hashes":[],"parent":null,"token_ids":[],"block_size":null,)"
      R"("tier":null,"lora_name":null,"cache_salt":null,"group_idx":null,"spec_kind":null,)"
      R"("extra_keys":null}],"skipped":[{"index":3,"reason":"not_an_event"}]})");
}

TEST(PayloadJson, IsJsonWhateverTheBytes) {
  const std::string odd_map = Head(0x82) + Uint(7) + Str("\xff\xfe") + Array({kNil}) + Ext("\x80");
  const std::string keys = Array(
      {Array({Str("\xc0\xaf"), odd_map, Double(std::numeric_limits<double>::infinity()), kTrue})});
  const ordered_json line = ordered_json::parse(JsonOf(Batch({StoredMap({{"extra_keys", keys}})})));
  const ordered_json& entry = line["events"][0]["extra_keys"][0];
  EXPECT_EQ(entry[1]["7"], "\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(entry[1]["[null]"]["bytes"], "80");
  EXPECT_TRUE(entry[2].is_null());
  EXPECT_EQ(ordered_json::parse(RejectedJson("\xff", "x"))["file"], "\xef\xbf\xbd");
}

TEST(PayloadJson, TimeStampsAreAsPublishedOrNull) {
  const std::string events = Array({});
  const auto ts = [&](const std::string& value) {
    return ordered_json::parse(JsonOf(Array({value, events})))["ts"];
  };
  EXPECT_EQ(ts(Uint(1'757'500'000'250)).dump(), "1757500000250");
  EXPECT_EQ(ts(Double(1.5)).dump(), "1.5");
  EXPECT_TRUE(ts(Double(std::nan(""))).is_null());
}

}  // namespace
}  // namespace kvroute
