// Messages are lost on the way, within what the engine can replay and beyond it.
#include "test/chaos/chaos_fixture.h"

namespace kvroute {
namespace {

class MessageLoss : public ChaosTest {
 protected:
  // After a loss that nothing can repair, the engine's clear is the next known point.
  void ExpectExactAfterClear() {
    engine("a").Clear();
    engine("a").Steps(10);
    ASSERT_TRUE(WaitUntilExact("a"));
    ExpectAnswersEqualModel({"a"});
  }
};

TEST_F(MessageLoss, WithinTheReplayBufferIsRepaired) {
  StartWith({"a", "b"});
  for (int loss = 0; loss < 10; ++loss) {
    engine("a").sockets().faults().drop_live = 1 + random()() % 10;
    engine("a").Steps(15);
  }
  ASSERT_TRUE(WaitUntilExact("a"));
  EXPECT_GT(State("a").gaps(), 0u);
  EXPECT_EQ(State("a").restarts(), 0u);
  ExpectAnswersEqualModel({"a", "b"});
}

TEST_F(MessageLoss, OfTheLastMessageIsFound) {
  StartWith({"a"});
  engine("a").sockets().faults().drop_live = 1;
  engine("a").Step();
  ASSERT_TRUE(WaitUntilExact("a")) << "nothing follows that could show the gap";
  ExpectAnswersEqualModel({"a"});
}

TEST_F(MessageLoss, BeyondTheReplayBufferIsSaid) {
  AddEngine("a", {.sockets = {.buffer_steps = 40}});
  StartWith({"a"}, 30);
  engine("a").sockets().faults().drop_live = 100;
  engine("a").Steps(101);
  ASSERT_TRUE(WaitUntilDegraded("a", "replay_trimmed"));
  ExpectExactAfterClear();
}

TEST_F(MessageLoss, ANumberThatNeverExistedIsSaid) {
  StartWith({"a", "b"});
  engine("a").sockets().faults().lose = 2;
  engine("a").Steps(10);
  ASSERT_TRUE(WaitUntilDegraded("a", "replay_hole"));
  ExpectAnswersEqualModel({"b"});
  ExpectExactAfterClear();
}

TEST_F(MessageLoss, InTheReplayIsAskedForAgain) {
  StartWith({"a"});
  engine("a").sockets().faults() = {.drop_live = 30, .pass_replies = 9, .drop_replies = 7};
  engine("a").Steps(31);
  ASSERT_TRUE(WaitUntilExact("a"));
  ExpectAnswersEqualModel({"a"});
}

TEST_F(MessageLoss, OfTheEndOfAReplayIsSurvived) {
  StartWith({"a"});
  engine("a").sockets().faults() = {.drop_live = 3, .drop_end_markers = 1};
  engine("a").Steps(8);
  ASSERT_TRUE(WaitUntilExact("a"));
  ExpectAnswersEqualModel({"a"});
}

TEST_F(MessageLoss, DuplicatesChangeNothing) {
  StartWith({"a"});
  engine("a").sockets().faults().duplicate = 40;
  engine("a").Steps(40);
  ASSERT_TRUE(WaitUntilExact("a"));
  EXPECT_EQ(State("a").restarts(), 0u);
  ExpectAnswersEqualModel({"a"});
}

TEST_F(MessageLoss, WithoutAReplaySocketIsSaid) {
  StartServer();
  AddEngine("a");
  Register("a", engine("a").sockets().event_endpoint(), "");
  ASSERT_TRUE(WaitFor("a connected", [&] { return State("a").connected(); }));
  ASSERT_TRUE(WaitFor("subscription", [&] {
    engine("a").Clear();
    return State("a").next_seq() > 0;
  }));
  engine("a").Steps(20);
  ASSERT_TRUE(WaitUntilExact("a"));
  engine("a").sockets().faults().drop_live = 1;
  engine("a").Steps(3);
  ASSERT_TRUE(WaitUntilDegraded("a", "no_replay"));
  ExpectExactAfterClear();
}

}  // namespace
}  // namespace kvroute
