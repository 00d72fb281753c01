// An engine dies and comes back: everything it held is gone, and its numbers start over.
#include "test/chaos/chaos_fixture.h"

namespace kvroute {
namespace {

class EngineRestart : public ChaosTest {
 protected:
  // The restart was seen, and the stream is exact for the new life.
  void ExpectNewLife(uint64_t restarts_before) {
    ASSERT_TRUE(WaitFor("restart seen", [&] { return State("a").restarts() > restarts_before; }));
    ASSERT_TRUE(WaitUntilExact("a"));
    ExpectAnswersEqualModel({"a", "b"});
  }
};

TEST_F(EngineRestart, TheOldLifeIsForgotten) {
  StartWith({"a", "b"});
  engine("a").Restart();
  engine("a").Steps(10);
  ExpectNewLife(0);
}

TEST_F(EngineRestart, ALongerNewLifeIsNotTakenForTheOldOne) {
  StartWith({"a", "b"}, 20);
  engine("a").Restart();
  engine("a").Steps(
      200);  // numbers well beyond where the old life ended, all before kvroute reconnects
  ExpectNewLife(0);
}

TEST_F(EngineRestart, BehindAConnectionThatStays) {
  StartWith({"a", "b"});
  engine("a").Restart(/*keep_connections=*/true);
  engine("a").Steps(10);
  ExpectNewLife(0);
}

TEST_F(EngineRestart, AgainAndAgain) {
  StartWith({"a", "b"});
  for (int life = 0; life < 4; ++life) {
    const uint64_t restarts = State("a").restarts();
    engine("a").Restart();
    engine("a").Steps(static_cast<int>(5 + random()() % 40));
    ASSERT_NO_FATAL_FAILURE(ExpectNewLife(restarts));
  }
}

TEST_F(EngineRestart, WhileItIsDownTheStreamSaysStale) {
  StartWith({"a", "b"});
  engine("a").sockets().Close();
  ASSERT_TRUE(WaitFor("a stale", [&] { return State("a").trust() == v1::TRUST_STALE; }));
  EXPECT_EQ(State("a").trust_reason(), "disconnected");
  ExpectAnswersEqualModel({"b"});

  ASSERT_TRUE(engine("a").sockets().Open().ok());  // the same life: only its network was away
  engine("a").Steps(5);
  ASSERT_TRUE(WaitUntilExact("a"));
  EXPECT_EQ(State("a").restarts(), 0u);
  ExpectAnswersEqualModel({"a", "b"});
}

TEST_F(EngineRestart, WithoutAReplaySocketTheNewLifeIsExactFromItsFirstBatch) {
  StartServer();
  AddEngine("a");
  AddEngine("b");
  engine("b").Steps(20);
  Register("a", engine("a").sockets().event_endpoint(), "");
  Register("b");
  ASSERT_TRUE(WaitUntilExact("b"));
  // The subscription is on its way when the connection stands.
  ASSERT_TRUE(WaitFor("a subscribed", [&] {
    engine("a").Step();
    return State("a").next_seq() > 0;
  }));
  engine("a").Steps(30);
  ASSERT_TRUE(WaitFor("a applied",
                      [&] { return State("a").next_seq() == engine("a").sockets().next_seq(); }));

  engine("a").Restart(/*keep_connections=*/true);
  engine("a").Steps(10);
  ExpectNewLife(0);
}

}  // namespace
}  // namespace kvroute
