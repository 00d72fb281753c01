// An engine hangs: it publishes nothing and answers no replay, its connections stand.
#include <chrono>

#include "test/chaos/chaos_fixture.h"

namespace kvroute {
namespace {

using EnginePause = ChaosTest;

TEST_F(EnginePause, SilenceMeansNothing) {
  StartWith({"a", "b"});
  engine("a").SetServing(false);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  WaitFor("five seconds of silence", [&] {
    EXPECT_EQ(State("a").trust(), v1::TRUST_EXACT);
    return HasFailure() || std::chrono::steady_clock::now() > until;
  });
  ExpectAnswersEqualModel({"a", "b"});
  engine("a").SetServing(true);
  engine("a").Steps(10);
  ASSERT_TRUE(WaitUntilExact("a"));
  ExpectAnswersEqualModel({"a", "b"});
}

TEST_F(EnginePause, DuringARepairIsSaidAndRepairedLater) {
  StartWith({"a"});
  engine("a").SetServing(false);
  engine("a").sockets().faults().drop_live = 2;
  engine("a").Steps(6);
  ASSERT_TRUE(WaitFor("a not exact", [&] { return State("a").trust() != v1::TRUST_EXACT; }));
  ASSERT_TRUE(WaitUntilDegraded("a", "replay_timeout"));
  engine("a").SetServing(true);
  ASSERT_TRUE(WaitUntilExact("a"));
  ExpectAnswersEqualModel({"a"});
}

TEST_F(EnginePause, BeforeTheFirstReplayKeepsTheStreamFromBeingExact) {
  StartServer();
  AddEngine("a").Steps(30);
  engine("a").SetServing(false);
  Register("a");
  ASSERT_TRUE(WaitFor("a connected", [&] { return State("a").connected(); }));
  EXPECT_NE(State("a").trust(), v1::TRUST_EXACT);
  engine("a").SetServing(true);
  ASSERT_TRUE(WaitUntilExact("a"));
  ExpectAnswersEqualModel({"a"});
}

}  // namespace
}  // namespace kvroute
