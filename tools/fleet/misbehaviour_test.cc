#include "tools/fleet/misbehaviour.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvroute {
namespace {

TEST(MisbehaviourTest, ReadsEveryPart) {
  const auto drop = ParseMisbehaviour("drop:w3@120s:5");
  ASSERT_TRUE(drop.ok()) << drop.status();
  EXPECT_EQ(drop->kind, MisbehaviourKind::kDrop);
  EXPECT_EQ(drop->worker, 3u);
  EXPECT_EQ(drop->rank, 0u);
  EXPECT_EQ(drop->at, std::chrono::seconds(120));
  EXPECT_EQ(drop->amount, 5u);

  const auto clear = ParseMisbehaviour("clear:w12.1@0.5s");
  ASSERT_TRUE(clear.ok()) << clear.status();
  EXPECT_EQ(clear->kind, MisbehaviourKind::kClear);
  EXPECT_EQ(clear->worker, 12u);
  EXPECT_EQ(clear->rank, 1u);
  EXPECT_EQ(clear->at, std::chrono::milliseconds(500));
  EXPECT_EQ(clear->amount, 1u);
}

TEST(MisbehaviourTest, RefusesEverythingElseAndNamesIt) {
  for (const char* text : {"", "drop", "explode:w1@1s", "drop:3@1s", "drop:w@1s", "drop:w1@1",
                           "drop:w1@-1s", "drop:w1@nans", "drop:w1@1s:x", "drop:w1@1s:1000001",
                           "drop:w1.2.3@1s", "drop:w1@1s:1:1", "drop:w1.@1s"}) {
    const auto status = ParseMisbehaviour(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()),
                ::testing::HasSubstr(std::string("\"") + text + "\""));
  }
}

}  // namespace
}  // namespace kvroute
