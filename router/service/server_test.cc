#include "router/service/server.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "kvroute/v1/fleet.grpc.pb.h"
#include "kvroute/v1/router.grpc.pb.h"
#include "router/service/fleet_service.h"
#include "test/support/routing_fixture.h"

namespace kvroute {
namespace {

using grpc::StatusCode;
using std::chrono::milliseconds;
using testing::HasSubstr;

std::unique_ptr<GrpcServer> MustStart(GrpcServerOptions options, RoutingFixture* fixture) {
  options.address = "127.0.0.1:0";
  auto server = GrpcServer::Start(options, &fixture->queries_, &fixture->fleet_, &fixture->stats_);
  KVROUTE_CHECK(server.ok());
  return *std::move(server);
}

class ServerTest : public testing::Test, protected RoutingFixture {
 protected:
  void Start(const GrpcServerOptions& options) {
    server_ = MustStart(options, this);
    channel_ = grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_->port()),
                                   grpc::InsecureChannelCredentials());
    router_ = v1::Router::NewStub(channel_);
    fleet_stub_ = v1::Fleet::NewStub(channel_);
  }
  void SetUp() override {
    GrpcServerOptions options;
    options.max_threads = 32;
    options.max_message_bytes = 65'536;
    options.max_open_streams = 4;
    Start(options);
  }
  // Before what it serves.
  void TearDown() override { server_.reset(); }

  static v1::RouteRequest Ask(size_t tokens) {
    v1::RouteRequest request;
    request.set_model("m");
    for (const TokenId token : Tokens(tokens)) request.mutable_prompt()->add_token_ids(token);
    return request;
  }
  void ExpectError(const grpc::Status& status, StatusCode code, const std::string& part) {
    EXPECT_EQ(status.error_code(), code) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr(part));
  }
  // One call by its full name, with raw bytes: for services whose stubs Debian does not ship.
  grpc::Status CallRaw(const std::string& method, const std::string& request,
                       std::string* response);

  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Router::Stub> router_;
  std::unique_ptr<v1::Fleet::Stub> fleet_stub_;
};

grpc::Status ServerTest::CallRaw(const std::string& method, const std::string& request,
                                 std::string* response) {
  grpc::GenericStub stub(channel_);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  auto call = stub.PrepareCall(&context, method, &queue);
  const auto wait = [&] {
    void* tag;
    bool ok;
    queue.Next(&tag, &ok);
    return ok;
  };
  call->StartCall(&call);
  wait();
  grpc::Slice slice(request);
  call->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), &call);
  wait();
  grpc::ByteBuffer buffer;
  call->Read(&buffer, &call);
  if (wait()) {
    std::vector<grpc::Slice> slices;
    if (buffer.Dump(&slices).ok()) {
      for (const grpc::Slice& part : slices)
        response->append(reinterpret_cast<const char*>(part.begin()), part.size());
    }
  }
  grpc::Status status;
  call->Finish(&status, &call);
  wait();
  return status;
}

TEST_F(ServerTest, RoutesScoresExplainsAndCompletes) {
  AddWorker(Spec("a"));
  AddWorker(Spec("b"));
  Store("b", Tokens(8));
  grpc::ClientContext route_context, score_context, explain_context, complete_context;
  v1::RouteResponse route;
  ASSERT_TRUE(router_->Route(&route_context, Ask(10), &route).ok());
  EXPECT_EQ(route.chosen().target().worker_id(), "b");
  v1::ScoreRequest score_request;
  *score_request.mutable_prompt() = Ask(10).prompt();
  v1::ScoreResponse score;
  ASSERT_TRUE(router_->Score(&score_context, score_request, &score).ok());
  EXPECT_EQ(score.matches(0).matched_tokens(), 8u);
  v1::ExplainResponse explain;
  ASSERT_TRUE(router_->Explain(&explain_context, Ask(10), &explain).ok());
  EXPECT_EQ(explain.candidates_size(), 2);
  v1::CompleteRequest complete_request;
  complete_request.set_request_id(route.request_id());
  complete_request.set_progress(v1::CompleteRequest::PROGRESS_ENDED);
  v1::CompleteResponse complete;
  ASSERT_TRUE(router_->Complete(&complete_context, complete_request, &complete).ok());
  EXPECT_TRUE(complete.known());
}

TEST_F(ServerTest, ErrorsKeepTheirCodeAndMessage) {
  grpc::ClientContext none, bad;
  v1::RouteResponse response;
  ExpectError(router_->Route(&none, Ask(10), &response), StatusCode::UNAVAILABLE,
              "no worker is known");
  AddWorker(Spec("a"));
  ExpectError(router_->Route(&bad, Ask(0), &response), StatusCode::INVALID_ARGUMENT,
              "prompt: empty");
}

TEST_F(ServerTest, AMessageBeyondTheLimitIsRefused) {
  AddWorker(Spec("a"));
  grpc::ClientContext context;
  v1::RouteResponse response;
  ExpectError(router_->Route(&context, Ask(20'000), &response), StatusCode::RESOURCE_EXHAUSTED,
              "65536");
}

TEST_F(ServerTest, ACallWhoseDeadlinePassedIsNotExecuted) {
  AddWorker(Spec("a"));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() - milliseconds(1));
  v1::RouteResponse response;
  EXPECT_EQ(router_->Route(&context, Ask(10), &response).error_code(),
            StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(loads_.Stats().begun, 0u);
}

TEST_F(ServerTest, AStreamAnswersInOrderAndSurvivesBadRequests) {
  AddWorker(Spec("a"));
  grpc::ClientContext context;
  auto stream = router_->RouteStream(&context);
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
  auto scores = router_->ScoreStream(&score_context);
  v1::ScoreRequest request;
  *request.mutable_prompt() = Ask(9).prompt();
  ASSERT_TRUE(scores->Write(request));
  v1::ScoreStreamResponse score;
  ASSERT_TRUE(scores->Read(&score));
  EXPECT_EQ(score.response().total_tokens(), 9u);
  scores->WritesDone();
  EXPECT_TRUE(scores->Finish().ok());
}

TEST_F(ServerTest, TheNumberOfOpenStreamsIsBounded) {
  AddWorker(Spec("a"));
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReaderWriter<v1::RouteRequest, v1::RouteStreamResponse>>>
      streams;
  v1::RouteStreamResponse response;
  for (int i = 0; i < 4; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    streams.push_back(router_->RouteStream(contexts.back().get()));
    ASSERT_TRUE(streams.back()->Write(Ask(5)));
    ASSERT_TRUE(streams.back()->Read(&response));  // it is open, not only asked for
  }
  grpc::ClientContext context;
  auto refused = router_->RouteStream(&context);
  EXPECT_FALSE(refused->Read(&response));
  ExpectError(refused->Finish(), StatusCode::RESOURCE_EXHAUSTED,
              "max_open_streams: 4 are open already");
  EXPECT_EQ(stats_.refused_streams, 1u);

  contexts[0]->TryCancel();  // a cancelled stream gives its place back
  EXPECT_EQ(streams[0]->Finish().error_code(), StatusCode::CANCELLED);
  while (stats_.open_streams != 3) std::this_thread::yield();
  grpc::ClientContext again;
  auto admitted = router_->RouteStream(&again);
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
  auto stream = router_->RouteStream(&context);
  v1::RouteStreamResponse response;
  while (stream->Read(&response)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), StatusCode::DEADLINE_EXCEEDED);
  while (stats_.open_streams != 0) std::this_thread::yield();
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
  grpc::ClientContext register_context, list_context, drain_context, deregister_context,
      again_context;
  v1::RegisterResponse registered;
  ASSERT_TRUE(fleet_stub_->Register(&register_context, request, &registered).ok());
  v1::SetDrainingRequest drain;
  drain.set_worker_id("w");
  drain.set_draining(true);
  v1::SetDrainingResponse drained;
  ASSERT_TRUE(fleet_stub_->SetDraining(&drain_context, drain, &drained).ok());
  ingest_.stream("w", 1)->trust = Trust::kDegraded;
  ingest_.stream("w", 1)->reason = TrustReason::kDecodeErrors;
  ingest_.stream("w", 1)->gaps = 3;
  ingest_.stream("w", 1)->skipped_events[4] = 5;

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
  ExpectError(attempt([](v1::Worker*) {}), StatusCode::INVALID_ARGUMENT, "worker_id: 0 bytes");
}

TEST_F(ServerTest, HealthFollowsReadiness) {
  // grpc.health.v1: HealthCheckResponse{status = 1}: 1 SERVING, 2 NOT_SERVING.
  std::string response;
  ASSERT_TRUE(CallRaw("/grpc.health.v1.Health/Check", "", &response).ok());
  EXPECT_EQ(response, "\x08\x01");
  server_->SetServing(false);
  response.clear();
  ASSERT_TRUE(CallRaw("/grpc.health.v1.Health/Check", "", &response).ok());
  EXPECT_EQ(response, "\x08\x02");
}

TEST_F(ServerTest, AHealthWatcherIsToldOfEachChange) {
  using grpc::health::v1::HealthCheckResponse;
  const auto health = grpc::health::v1::Health::NewStub(channel_);
  grpc::ClientContext context;
  const auto watch = health->Watch(&context, {});
  HealthCheckResponse response;
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  server_->SetServing(false);
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  server_->Shutdown(milliseconds(60'000));  // ends the watcher instead of waiting for it
  EXPECT_FALSE(watch->Read(&response));
  EXPECT_FALSE(watch->Finish().ok());
}

TEST_F(ServerTest, HealthOfAnUnknownServiceIsNotFound) {
  const auto health = grpc::health::v1::Health::NewStub(channel_);
  grpc::health::v1::HealthCheckRequest request;
  request.set_service("another");
  grpc::ClientContext check_context, watch_context;
  grpc::health::v1::HealthCheckResponse response;
  EXPECT_EQ(health->Check(&check_context, request, &response).error_code(), StatusCode::NOT_FOUND);
  const auto watch = health->Watch(&watch_context, request);
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), grpc::health::v1::HealthCheckResponse::SERVICE_UNKNOWN);
  watch_context.TryCancel();
  EXPECT_EQ(watch->Finish().error_code(), StatusCode::CANCELLED);
}

TEST_F(ServerTest, ReflectionListsTheServices) {
  // grpc.reflection.v1alpha.ServerReflectionRequest{list_services = 7: "*"}
  std::string response;
  ASSERT_TRUE(CallRaw("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                      std::string("\x3a\x01*", 3), &response)
                  .ok());
  EXPECT_THAT(response, HasSubstr("kvroute.v1.Router"));
  EXPECT_THAT(response, HasSubstr("kvroute.v1.Fleet"));
  EXPECT_THAT(response, HasSubstr("grpc.health.v1.Health"));
}

// An HTTP/2 connection whose client answers nothing, as one that is not being polled.
int ConnectWithoutReading(int port) {
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  const std::string empty_settings("\0\0\0\4\0\0\0\0\0", 9);
  const std::string hello = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + empty_settings;
  EXPECT_EQ(write(client, hello.data(), hello.size()), static_cast<ssize_t>(hello.size()));
  std::array<char, 9> frame{};  // the server's own settings: the connection is up
  EXPECT_EQ(recv(client, frame.data(), frame.size(), MSG_WAITALL),
            static_cast<ssize_t>(frame.size()));
  return client;
}

TEST_F(ServerTest, ShutdownDoesNotWaitForIdleConnections) {
  const int client = ConnectWithoutReading(server_->port());
  const auto start = std::chrono::steady_clock::now();
  server_->Shutdown(std::chrono::minutes(10));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
  close(client);
}

TEST_F(ServerTest, ShutdownWaitsForAnOpenStreamThatEnds) {
  AddWorker(Spec("a"));
  grpc::ClientContext context;
  auto stream = router_->RouteStream(&context);
  v1::RouteStreamResponse response;
  ASSERT_TRUE(stream->Write(Ask(5)));
  ASSERT_TRUE(stream->Read(&response));
  std::thread ender([&] { server_->Shutdown(std::chrono::minutes(10)); });
  // Refused from now on, while the stream lives: the shutdown has begun.
  std::string ignored;
  while (CallRaw("/grpc.health.v1.Health/Check", "", &ignored).ok()) std::this_thread::yield();
  EXPECT_TRUE(stream->Write(Ask(5)));
  EXPECT_TRUE(stream->Read(&response));
  EXPECT_TRUE(stream->WritesDone());
  EXPECT_TRUE(stream->Finish().ok());
  ender.join();
}

TEST_F(ServerTest, ShutdownEndsOpenStreams) {
  AddWorker(Spec("a"));
  grpc::ClientContext context;
  auto stream = router_->RouteStream(&context);
  v1::RouteStreamResponse response;
  ASSERT_TRUE(stream->Write(Ask(5)));
  ASSERT_TRUE(stream->Read(&response));
  server_->Shutdown(milliseconds(10));
  server_->Shutdown(milliseconds(10));
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_FALSE(stream->Finish().ok());
}

TEST_F(ServerTest, AnAddressInUseOrOptionsOutOfRangeAreErrors) {
  GrpcServerOptions options;
  options.address = absl::StrCat("127.0.0.1:", server_->port());
  const auto second = GrpcServer::Start(options, &queries_, &fleet_, &stats_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr("address: cannot listen at \"127.0.0.1:"));
  options.max_threads = 1;
  EXPECT_EQ(GrpcServer::Start(options, &queries_, &fleet_, &stats_).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace kvroute
