// What a client gets over the wire: calls, streams, the fleet.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "test/support/server_fixture.h"

namespace kvroute {
namespace {

using grpc::StatusCode;
using std::chrono::milliseconds;
using testing::HasSubstr;

TEST_F(ServerTest, RoutesScoresExplainsAndCompletes) {
  AddWorker(Spec("a"));
  AddWorker(Spec("b"));
  Store("b", Tokens(8));
  grpc::ClientContext route_context, score_context, explain_context, complete_context;
  v1::RouteResponse route;
  ASSERT_TRUE(router_stub_->Route(&route_context, Ask(10), &route).ok());
  EXPECT_EQ(route.chosen().target().worker_id(), "b");
  v1::ScoreRequest score_request;
  *score_request.mutable_prompt() = Ask(10).prompt();
  v1::ScoreResponse score;
  ASSERT_TRUE(router_stub_->Score(&score_context, score_request, &score).ok());
  EXPECT_EQ(score.matches(0).matched_tokens(), 8u);
  v1::ExplainResponse explain;
  ASSERT_TRUE(router_stub_->Explain(&explain_context, Ask(10), &explain).ok());
  EXPECT_EQ(explain.candidates_size(), 2);
  v1::CompleteRequest complete_request;
  complete_request.set_request_id(route.request_id());
  complete_request.set_progress(v1::CompleteRequest::PROGRESS_ENDED);
  v1::CompleteResponse complete;
  ASSERT_TRUE(router_stub_->Complete(&complete_context, complete_request, &complete).ok());
  EXPECT_TRUE(complete.known());
}

// What engines say of themselves is beside each candidate, with its age; of one that was not asked,
// nothing.
TEST_F(ServerTest, ExplainShowsWhatEnginesLastSaid) {
  for (const char* id : {"a", "b", "c"}) AddWorker(Spec(id));
  const auto fleet = fleet_.Snapshot();
  EngineReport& a = fleet->targets[0].load->engine;
  a.waiting = 3;
  a.running = 5;
  a.kv_usage_millionths = 250'000;
  a.capacity_blocks = 1'000;
  a.at_ns = (Clock::Real().Monotonic() - std::chrono::seconds(5)).count();
  a.health = EngineHealth::kAnswers;
  fleet->targets[1].load->engine.health = EngineHealth::kDoesNotAnswer;
  grpc::ClientContext context;
  v1::ExplainResponse explain;
  ASSERT_TRUE(router_stub_->Explain(&context, Ask(10), &explain).ok());
  ASSERT_EQ(explain.candidates_size(), 3);
  const auto& said = explain.candidates(0).engine();
  EXPECT_EQ(said.health(), "answers");
  EXPECT_EQ(said.waiting(), 3u);
  EXPECT_EQ(said.running(), 5u);
  EXPECT_EQ(said.kv_usage(), 0.25);
  EXPECT_EQ(said.capacity_blocks(), 1'000u);
  EXPECT_GE(said.age_ms(), 5'000u);
  EXPECT_LT(said.age_ms(), 65'000u);
  EXPECT_EQ(explain.candidates(1).engine().health(), "does_not_answer");
  EXPECT_EQ(explain.candidates(1).engine().age_ms(), 0u) << "it has never said anything";
  EXPECT_EQ(explain.candidates(1).left_out(), "not_answering");
  EXPECT_FALSE(explain.candidates(2).has_engine());
}

TEST_F(ServerTest, WhoOnlyPrefillsIsLeftOutForItsRole) {
  WorkerSpec spec = Spec("p");
  spec.role = WorkerRole::kPrefill;
  AddWorker(spec);
  grpc::ClientContext none, context;
  v1::RouteResponse response;
  ExpectError(router_stub_->Route(&none, Ask(10), &response), StatusCode::UNAVAILABLE, "1 role");
  AddWorker(Spec("d"));
  ASSERT_TRUE(router_stub_->Route(&context, Ask(10), &response).ok());
  EXPECT_EQ(response.chosen().target().worker_id(), "d");
  EXPECT_EQ(response.left_out(0).reason(), "role");
}

TEST_F(ServerTest, ErrorsKeepTheirCodeAndMessage) {
  grpc::ClientContext none, bad;
  v1::RouteResponse response;
  ExpectError(router_stub_->Route(&none, Ask(10), &response), StatusCode::UNAVAILABLE,
              "no worker is known");
  AddWorker(Spec("a"));
  ExpectError(router_stub_->Route(&bad, Ask(0), &response), StatusCode::INVALID_ARGUMENT,
              "prompt: empty");
}

TEST_F(ServerTest, AMessageBeyondTheLimitIsRefused) {
  AddWorker(Spec("a"));
  grpc::ClientContext context;
  v1::RouteResponse response;
  ExpectError(router_stub_->Route(&context, Ask(20'000), &response), StatusCode::RESOURCE_EXHAUSTED,
              "65536");
}

TEST_F(ServerTest, ACallWhoseDeadlinePassedIsNotExecuted) {
  AddWorker(Spec("a"));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() - milliseconds(1));
  v1::RouteResponse response;
  EXPECT_EQ(router_stub_->Route(&context, Ask(10), &response).error_code(),
            StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(loads_.Stats().begun, 0u);
}

TEST_F(ServerTest, AStreamAnswersInOrderAndSurvivesBadRequests) {
  AddWorker(Spec("a"));
  grpc::ClientContext context;
  auto stream = router_stub_->RouteStream(&context);
  for (size_t tokens : {5, 0, 7}) ASSERT_TRUE(stream->Write(Ask(tokens)));
  stream->WritesDone();
  v1::RouteStreamResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.response().total_tokens(), 5u);
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.error().code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(response.error().message(), HasSubstr("prompt: empty"));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.response().total_tokens(), 7u);
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());

  grpc::ClientContext score_context;
  auto scores = router_stub_->ScoreStream(&score_context);
  v1::ScoreRequest request;
  *request.mutable_prompt() = Ask(9).prompt();
  ASSERT_TRUE(scores->Write(request));
  v1::ScoreStreamResponse score;
  ASSERT_TRUE(scores->Read(&score));
  EXPECT_EQ(score.response().total_tokens(), 9u);
  scores->WritesDone();
  EXPECT_TRUE(scores->Finish().ok());
}

TEST_F(ServerTest, AStreamIsOpenBeforeItsFirstRequestAndMayEndWithoutOne) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(120));
  auto stream = router_stub_->RouteStream(&context);
  stream->WaitForInitialMetadata();
  EXPECT_EQ(stats_.open_rpc_streams, 1u);
  EXPECT_TRUE(stream->WritesDone());
  v1::RouteStreamResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ServerTest, AMessageBeyondTheLimitEndsItsStream) {
  AddWorker(Spec("a"));
  grpc::ClientContext context;
  auto stream = router_stub_->RouteStream(&context);
  v1::RouteStreamResponse response;
  ASSERT_TRUE(stream->Write(Ask(5)));
  ASSERT_TRUE(stream->Read(&response));
  stream->Write(Ask(20'000));
  EXPECT_FALSE(stream->Read(&response));
  ExpectError(stream->Finish(), StatusCode::RESOURCE_EXHAUSTED, "65536");
}

TEST_F(ServerTest, TheNumberOfOpenStreamsIsBounded) {
  AddWorker(Spec("a"));
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReaderWriter<v1::RouteRequest, v1::RouteStreamResponse>>>
      streams;
  v1::RouteStreamResponse response;
  for (int i = 0; i < 4; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    streams.push_back(router_stub_->RouteStream(contexts.back().get()));
    ASSERT_TRUE(streams.back()->Write(Ask(5)));
    ASSERT_TRUE(streams.back()->Read(&response));  // it is open, not only asked for
  }
  grpc::ClientContext context;
  auto refused = router_stub_->RouteStream(&context);
  EXPECT_FALSE(refused->Read(&response));
  ExpectError(refused->Finish(), StatusCode::RESOURCE_EXHAUSTED,
              "grpc.max_streams: 4 are open already");
  EXPECT_EQ(stats_.refused_rpc_streams, 1u);

  contexts[0]->TryCancel();  // a cancelled stream gives its place back
  EXPECT_EQ(streams[0]->Finish().error_code(), StatusCode::CANCELLED);
  while (stats_.open_rpc_streams != 3) std::this_thread::yield();
  grpc::ClientContext again;
  auto admitted = router_stub_->RouteStream(&again);
  ASSERT_TRUE(admitted->Write(Ask(5)));
  EXPECT_TRUE(admitted->Read(&response));
  again.TryCancel();
  admitted->Finish();
  for (int i = 1; i < 4; ++i) {
    contexts[static_cast<size_t>(i)]->TryCancel();
    streams[static_cast<size_t>(i)]->Finish();
  }
}

TEST_F(ServerTest, AStreamEndsAtItsDeadline) {
  AddWorker(Spec("a"));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + milliseconds(50));
  auto stream = router_stub_->RouteStream(&context);
  v1::RouteStreamResponse response;
  while (stream->Read(&response)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), StatusCode::DEADLINE_EXCEEDED);
  while (stats_.open_rpc_streams != 0) std::this_thread::yield();
}

TEST_F(ServerTest, WorkersAreRegisteredListedDrainedAndDeregistered) {
  v1::RegisterRequest request;
  v1::Worker* worker = request.mutable_worker();
  worker->set_worker_id("w");
  worker->set_address("http://w:8000");
  worker->set_model("m");
  worker->set_engine("sglang");
  worker->set_block_size_tokens(4);
  worker->set_event_endpoint("tcp://10.0.0.7:5557");
  worker->set_replay_endpoint("tcp://10.0.0.7:5657");
  worker->set_topic("kv-events");
  worker->set_data_parallel_size(2);
  worker->add_rank_overrides()->set_rank(1);
  worker->mutable_rank_overrides(0)->set_event_endpoint("tcp://10.0.0.8:5557");
  worker->set_copies("set");
  worker->set_bigram(true);
  worker->set_max_requests_in_flight(9);
  worker->set_role("both");
  grpc::ClientContext register_context, list_context, drain_context, deregister_context,
      again_context;
  v1::RegisterResponse registered;
  ASSERT_TRUE(fleet_stub_->Register(&register_context, request, &registered).ok());
  v1::SetDrainingRequest drain;
  drain.set_worker_id("w");
  drain.set_draining(true);
  v1::SetDrainingResponse drained;
  ASSERT_TRUE(fleet_stub_->SetDraining(&drain_context, drain, &drained).ok());
  source_.stream("w", 1)->trust = Trust::kDegraded;
  source_.stream("w", 1)->reason = TrustReason::kDecodeErrors;
  source_.stream("w", 1)->gaps = 3;
  source_.stream("w", 1)->skipped_events[4] = 5;

  v1::ListResponse list;
  ASSERT_TRUE(fleet_stub_->List(&list_context, {}, &list).ok());
  ASSERT_EQ(list.workers_size(), 1);
  EXPECT_EQ(list.workers(0).worker().SerializeAsString(), worker->SerializeAsString());
  EXPECT_TRUE(list.workers(0).draining());
  EXPECT_EQ(list.workers(0).source(), "api");
  ASSERT_EQ(list.workers(0).streams_size(), 2);
  EXPECT_EQ(list.workers(0).streams(1).trust(), v1::TRUST_DEGRADED);
  EXPECT_EQ(list.workers(0).streams(1).trust_reason(), "decode_errors");
  EXPECT_EQ(list.workers(0).streams(1).gaps(), 3u);
  EXPECT_EQ(list.workers(0).streams(1).skipped_events(), 5u);
  EXPECT_EQ(list.workers(0).streams(1).block_size_tokens(), 4u);
  EXPECT_EQ(list.workers(0).streams(1).lookahead_tokens(), 1u);  // bigram

  v1::DeregisterRequest deregister;
  deregister.set_worker_id("w");
  v1::DeregisterResponse deregistered;
  ASSERT_TRUE(fleet_stub_->Deregister(&deregister_context, deregister, &deregistered).ok());
  ExpectError(fleet_stub_->Deregister(&again_context, deregister, &deregistered),
              StatusCode::NOT_FOUND, "\"w\"");
}

TEST_F(ServerTest, ABadRegistrationNamesItsField) {
  const auto attempt = [&](const std::function<void(v1::Worker*)>& fill) {
    v1::RegisterRequest request;
    fill(request.mutable_worker());
    v1::RegisterResponse response;
    grpc::ClientContext context;
    return fleet_stub_->Register(&context, request, &response);
  };
  ExpectError(attempt([](v1::Worker* w) { w->set_engine("llama"); }), StatusCode::INVALID_ARGUMENT,
              "engine: \"llama\" is not one of auto");
  ExpectError(attempt([](v1::Worker* w) { w->set_copies("many"); }), StatusCode::INVALID_ARGUMENT,
              "copies: \"many\" is not one of counted, set");
  ExpectError(attempt([](v1::Worker* w) { w->set_role("encode"); }), StatusCode::INVALID_ARGUMENT,
              "role: \"encode\" is not one of decode, prefill, both");
  ExpectError(attempt([](v1::Worker*) {}), StatusCode::INVALID_ARGUMENT, "worker_id: 0 bytes");
}

}  // namespace
}  // namespace kvroute
