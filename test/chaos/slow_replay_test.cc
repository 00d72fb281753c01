// A replay takes its time while live batches keep coming.
#include "test/chaos/chaos_fixture.h"

namespace kvroute {
namespace {

class SlowReplay : public ChaosTest {
 protected:
  // Patient with a test that is kept from serving for a moment.
  void SetUp() override { StartServer({"--set", "ingest.replay_timeout=60s"}); }
};

TEST_F(SlowReplay, LiveBatchesAreSplicedBehindIt) {
  AddEngine("a").Steps(300);
  engine("a").sockets().faults().replies_per_serve = 1;
  Register("a");
  ASSERT_TRUE(WaitFor("a syncing", [&] { return State("a").trust() == v1::TRUST_SYNCING; }));
  int live = 0;
  ASSERT_TRUE(WaitFor("a exact while batches come", [&] {
    if (live < 100) {
      engine("a").Step();
      ++live;
    }
    const v1::StreamState state = State("a");
    return live == 100 && state.trust() == v1::TRUST_EXACT &&
           state.next_seq() == engine("a").sockets().next_seq();
  }));
  ExpectAnswersEqualModel({"a"});
}

TEST_F(SlowReplay, AnAnswerMeanwhileSaysSyncing) {
  AddEngine("a").Steps(900);  // all replies at once fit into the pipe: none is lost
  engine("a").sockets().faults().replies_per_serve = 1;
  Register("a");
  ASSERT_TRUE(WaitFor("a syncing", [&] { return State("a").trust() == v1::TRUST_SYNCING; }));
  v1::ScoreRequest request;
  request.set_model("chaos");
  for (TokenId token : ChaosTokens(0, 64)) request.mutable_prompt()->add_token_ids(token);
  const auto response = api().Score(request);
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(response->matches_size(), 1);
  EXPECT_EQ(response->matches(0).trust(), v1::TRUST_SYNCING);
  engine("a").sockets().faults().replies_per_serve = 0;
  ASSERT_TRUE(WaitUntilExact("a"));
  ExpectAnswersEqualModel({"a"});
}

TEST_F(SlowReplay, OfOneEngineDoesNotHoldUpAnother) {
  AddEngine("a").Steps(2'000);
  AddEngine("b").Steps(100);
  engine("a").sockets().faults().replies_per_serve = 1;
  Register("a");
  ASSERT_TRUE(WaitFor("a syncing", [&] { return State("a").trust() == v1::TRUST_SYNCING; }));
  Register("b");
  ASSERT_TRUE(WaitUntilExact("b"));
  EXPECT_EQ(State("a").trust(), v1::TRUST_SYNCING);
  ExpectAnswersEqualModel({"b"});
}

}  // namespace
}  // namespace kvroute
