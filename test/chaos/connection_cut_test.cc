// The network between an engine and kvroute fails; the engine goes on.
#include "test/chaos/chaos_fixture.h"

namespace kvroute {
namespace {

using Mode = testing_support::TcpProxy::Mode;
using testing_support::PortOf;
using testing_support::TcpProxy;

class ConnectionCut : public ChaosTest {
 protected:
  void SetUp() override {
    StartServer();
    AddEngine("a");
    events_ = std::make_unique<TcpProxy>(PortOf(engine("a").sockets().event_endpoint()));
    replays_ = std::make_unique<TcpProxy>(PortOf(engine("a").sockets().replay_endpoint()));
    engine("a").Steps(30);
    Register("a", events_->endpoint(), replays_->endpoint());
    ASSERT_TRUE(WaitUntilExact("a"));
  }

  std::unique_ptr<TcpProxy> events_, replays_;
};

TEST_F(ConnectionCut, WhatWasPublishedMeanwhileIsReplayed) {
  events_->Set(Mode::kCut);
  ASSERT_TRUE(WaitFor("a stale", [&] { return State("a").trust() == v1::TRUST_STALE; }));
  engine("a").Steps(40);
  events_->Set(Mode::kForward);
  ASSERT_TRUE(WaitUntilExact("a"));
  EXPECT_EQ(State("a").restarts(), 0u);
  ExpectAnswersEqualModel({"a"});
}

TEST_F(ConnectionCut, ShortCutsUnderLoad) {
  for (int cut = 0; cut < 5; ++cut) {
    engine("a").Steps(20);
    events_->Set(Mode::kCut);
    engine("a").Steps(20);
    events_->Set(Mode::kForward);
    engine("a").Steps(20);
  }
  ASSERT_TRUE(WaitUntilExact("a"));
  ExpectAnswersEqualModel({"a"});
}

TEST_F(ConnectionCut, AHeldConnectionLosesNothing) {
  events_->Set(Mode::kHold);
  engine("a").Steps(50);
  events_->Set(Mode::kForward);
  ASSERT_TRUE(WaitUntilExact("a"));
  ExpectAnswersEqualModel({"a"});
}

TEST_F(ConnectionCut, InTheMiddleOfAReplay) {
  events_->Set(Mode::kCut);
  ASSERT_TRUE(WaitFor("a stale", [&] { return State("a").trust() == v1::TRUST_STALE; }));
  engine("a").Steps(200);
  engine("a").sockets().faults().replies_per_serve = 1;
  const uint64_t replays = State("a").replays();
  events_->Set(Mode::kForward);
  ASSERT_TRUE(WaitFor("a replaying", [&] { return State("a").replays() > replays; }));
  replays_->Set(Mode::kCut);
  engine("a").Steps(5);
  replays_->Set(Mode::kForward);
  engine("a").sockets().faults().replies_per_serve = 0;
  ASSERT_TRUE(WaitUntilExact("a"));
  ExpectAnswersEqualModel({"a"});
}

TEST_F(ConnectionCut, AReplayThatCannotBeReachedIsNotAnExactStream) {
  replays_->Set(Mode::kCut);
  engine("a").sockets().faults().drop_live = 1;
  engine("a").Steps(5);
  ASSERT_TRUE(WaitUntilDegraded("a", "replay_timeout"));
  replays_->Set(Mode::kForward);
  ASSERT_TRUE(WaitUntilExact("a")) << "the engine still has everything: kvroute asks again";
  ExpectAnswersEqualModel({"a"});
}

TEST_F(ConnectionCut, OfEveryEngineStopsNoRequest) {
  events_->Set(Mode::kCut);
  ASSERT_TRUE(WaitFor("a stale", [&] { return State("a").trust() == v1::TRUST_STALE; }));
  EXPECT_TRUE(State("a").unheard());
  v1::RouteRequest request;
  for (TokenId token = 0; token < 64; ++token) request.mutable_prompt()->add_token_ids(token);
  const absl::StatusOr<v1::RouteResponse> routed = api().Route(request);
  ASSERT_TRUE(routed.ok()) << routed.status();
  EXPECT_EQ(routed->chosen().target().worker_id(), "a");
  EXPECT_TRUE(routed->chosen().unheard());
  EXPECT_EQ(routed->chosen().matched_blocks(), 0u);
  events_->Set(Mode::kForward);
  ASSERT_TRUE(WaitUntilExact("a"));
  EXPECT_FALSE(State("a").unheard());
  ExpectAnswersEqualModel({"a"});
}

TEST_F(ConnectionCut, OtherStreamsDoNotNotice) {
  AddEngine("b");
  Register("b");
  events_->Set(Mode::kCut);
  engine("b").Steps(30);
  ASSERT_TRUE(WaitUntilExact("b"));
  ExpectAnswersEqualModel({"b"});
}

}  // namespace
}  // namespace kvroute
