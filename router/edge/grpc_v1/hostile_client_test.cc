// What one client does to the others' calls: nothing.
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "test/support/http2_connection.h"
#include "test/support/sanitized.h"
#include "test/support/server_fixture.h"

namespace kvroute {
namespace {

using grpc::StatusCode;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing_support::Http2Connection;
using testing_support::RawConnection;

constexpr std::string_view kRoute = "/kvroute.v1.Router/Route";

class HostileClientTest : public ServerTest {
 protected:
  uint64_t Ended(ConnectionEnd why) const {
    return stats_.ended_connections[static_cast<size_t>(why)];
  }
  // The client sees the end a moment before it is counted.
  void ExpectEnded(ConnectionEnd why, uint64_t connections) const {
    while (Ended(why) < connections) std::this_thread::yield();
    EXPECT_EQ(Ended(why), connections);
  }
  // On a connection of its own.
  std::shared_ptr<grpc::Channel> AnotherChannel() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", server_->port()),
                                     grpc::InsecureChannelCredentials(), arguments);
  }
  // A normal client is answered, and does not wait for long.
  void ExpectServed() {
    grpc::ClientContext context, list_context;
    for (grpc::ClientContext* c : {&context, &list_context}) {
      c->set_deadline(std::chrono::system_clock::now() + seconds(60));
    }
    v1::RouteResponse route;
    const grpc::Status routed = router_stub_->Route(&context, Ask(10), &route);
    EXPECT_TRUE(routed.ok()) << routed.error_message();
    v1::ListResponse list;
    const grpc::Status listed = fleet_stub_->List(&list_context, {}, &list);
    EXPECT_TRUE(listed.ok()) << listed.error_message();
  }
  void Restart(const GrpcServerOptions& options) {
    server_.reset();
    Start(options);
  }
};

TEST_F(HostileClientTest, AnswersThatNobodyTakesHoldNoPlaces) {
  AddWorker(Spec("a"));
  const std::string request = Ask(10).SerializeAsString();
  for (const std::string_view path : {kRoute, std::string_view("/kvroute.v1.Fleet/List")}) {
    GrpcServerOptions options;
    // Where all places are taken nobody waits for it.
    options.write_timeout = path == kRoute ? std::chrono::hours(1) : milliseconds(500);
    Restart(options);
    Http2Connection hostile(server_->port(), /*window=*/0);
    for (uint32_t call = 1; call < 2 * limits::kMaxCallsUnderWay + 101; call += 2) {
      hostile.Headers(call, path).Message(call, path == kRoute ? request : "");
    }
    hostile.Flush();
    EXPECT_TRUE(hostile.raw().ClosedByPeer());
    ExpectServed();
  }
  ExpectEnded(ConnectionEnd::kUnreadAnswers, 2);
  while (loads_.Stats().leases != 2) std::this_thread::yield();  // those that were told
}

TEST_F(HostileClientTest, AFewAnswersThatNobodyTakesAreWaitedForUntilTheTimeout) {
  GrpcServerOptions options;
  options.write_timeout = milliseconds(500);
  Restart(options);
  AddWorker(Spec("a"));
  Http2Connection hostile(server_->port(), /*window=*/0);
  hostile.Headers(1, kRoute).Message(1, Ask(10).SerializeAsString()).Flush();
  EXPECT_TRUE(hostile.raw().ClosedByPeer());
  ExpectEnded(ConnectionEnd::kUnreadAnswers, 1);
}

TEST_F(HostileClientTest, AWatcherThatTakesNothingIsCutOffToo) {
  GrpcServerOptions options;
  options.write_timeout = milliseconds(500);
  Restart(options);
  AddWorker(Spec("a"));
  Http2Connection hostile(server_->port(), /*window=*/0);
  hostile.Headers(1, "/kvroute.v1.Fleet/Watch").Message(1, "").Flush();
  while (stats_.open_fleet_watchers == 0) std::this_thread::yield();
  for (int i = 0; i < 1'000; ++i) ASSERT_TRUE(fleet_.SetDraining("a", i % 2 == 0).ok());
  EXPECT_TRUE(hostile.raw().ClosedByPeer());
  ExpectEnded(ConnectionEnd::kUnreadAnswers, 1);
  while (stats_.open_fleet_watchers != 0) std::this_thread::yield();
}

TEST_F(HostileClientTest, CallsThatAreCancelledWithoutEndCutTheirConnection) {
  AddWorker(Spec("a"));
  Http2Connection hostile(server_->port());
  // Those that gRPC has not got rid of yet count as open.
  const auto cut = [this] {
    return Ended(ConnectionEnd::kCancelledCalls) + Ended(ConnectionEnd::kTooManyCalls);
  };
  uint32_t call = 1;
  while (cut() == 0) {
    for (int i = 0; i < 500; ++i, call += 2) hostile.Headers(call, kRoute).Reset(call);
    if (!hostile.Flush()) break;
  }
  EXPECT_TRUE(hostile.raw().ClosedByPeer());
  EXPECT_EQ(cut(), 1u);
  ExpectServed();
}

TEST_F(HostileClientTest, FramesThatBelongToNoCallCutTheirConnection) {
  Http2Connection hostile(server_->port());
  // A piece of a frame that is not whole is a request that is not whole, as far as anybody can see.
  const auto cut = [this] {
    return Ended(ConnectionEnd::kNoCalls) + Ended(ConnectionEnd::kUnfinishedRequests);
  };
  while (cut() == 0) {
    // Frames of a type that is not known are to be ignored.
    if (!hostile.raw().Send(std::string("\0\x40\0\xee\0\0\0\0\0", 9) + std::string(16'384, 'x'))) {
      break;
    }
  }
  EXPECT_TRUE(hostile.raw().ClosedByPeer());
}

TEST_F(HostileClientTest, IdleConnectionsMakeRoomForOthers) {
  GrpcServerOptions options;
  options.max_connections = 8;
  Restart(options);
  AddWorker(Spec("a"));
  ExpectServed();
  std::vector<std::unique_ptr<RawConnection>> idle;
  for (int i = 0; i < 100; ++i) {
    idle.push_back(std::make_unique<RawConnection>(server_->port()));
  }
  for (int i = 0; i < 93; ++i) EXPECT_TRUE(idle[static_cast<size_t>(i)]->ClosedByPeer());
  ExpectEnded(ConnectionEnd::kRoom, 93);  // all of them, and not the one that is used
  while (stats_.connections != 8) std::this_thread::yield();  // it goes before another comes
  ExpectServed();
  const auto another = v1::Router::NewStub(AnotherChannel());
  grpc::ClientContext context;
  v1::RouteResponse response;
  EXPECT_TRUE(another->Route(&context, Ask(10), &response).ok());
  EXPECT_EQ(Ended(ConnectionEnd::kRoom), 94u);
}

TEST_F(HostileClientTest, ConnectionsThatCloseAreForgotten) {
  for (int i = 0; i < 50; ++i) {
    Http2Connection connection(server_->port());
    EXPECT_FALSE(connection.raw().ReadUntil("\x04").empty());  // the server's settings
  }
  while (stats_.connections != 0) std::this_thread::yield();
}

TEST_F(HostileClientTest, CompressedRequestsAreRefusedUnread) {
  AddWorker(Spec("a"));
  for (const auto algorithm : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    grpc::ClientContext context, stream_context;
    context.set_compression_algorithm(algorithm);
    stream_context.set_compression_algorithm(algorithm);
    v1::RouteRequest request = Ask(10);
    request.set_request_id(std::string(50'000'000, '0'));  // far less on the wire than max_message
    v1::RouteResponse response;
    ExpectError(router_stub_->Route(&context, request, &response), StatusCode::UNIMPLEMENTED,
                "disabled");
    const auto stream = router_stub_->RouteStream(&stream_context);
    stream->Write(Ask(10));
    ExpectError(stream->Finish(), StatusCode::UNIMPLEMENTED, "disabled");
  }
  EXPECT_EQ(loads_.Stats().begun, 0u);
  // One that does not say beforehand that it is compressed is no message.
  Http2Connection unannounced(server_->port());
  unannounced.Headers(1, kRoute).Message(1, Ask(10).SerializeAsString(), /*compressed=*/true);
  unannounced.Flush();
  EXPECT_THAT(unannounced.raw().ReadUntil("grpc-status"), HasSubstr("grpc-status"));
  ExpectServed();
}

TEST_F(HostileClientTest, ThousandsWatchTheHealth) {
  using grpc::health::v1::Health;
  using grpc::health::v1::HealthCheckResponse;
  struct Watcher {
    std::unique_ptr<grpc::ClientContext> context = std::make_unique<grpc::ClientContext>();
    std::unique_ptr<grpc::ClientReader<HealthCheckResponse>> reader;
  };
  std::vector<Watcher> watchers;
  for (int c = 0; c < 4; ++c) {
    const auto stub = Health::NewStub(AnotherChannel());
    for (int i = 0; i < 600; ++i) {
      watchers.emplace_back();
      watchers.back().reader = stub->Watch(watchers.back().context.get(), {});
    }
  }
  HealthCheckResponse response;
  for (Watcher& watcher : watchers) {
    ASSERT_TRUE(watcher.reader->Read(&response)) << watcher.reader->Finish().error_message();
    ASSERT_EQ(response.status(), HealthCheckResponse::SERVING);
  }
  server_->SetServing(false);
  for (Watcher& watcher : watchers) {
    ASSERT_TRUE(watcher.reader->Read(&response));
    ASSERT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  }
  for (Watcher& watcher : watchers) watcher.context->TryCancel();
  for (Watcher& watcher : watchers) watcher.reader->Finish();
}

TEST_F(HostileClientTest, ReflectionStreamsHoldNoThreadAndLeaveRoomForOthers) {
  using grpc::reflection::v1alpha::ServerReflection;
  using grpc::reflection::v1alpha::ServerReflectionRequest;
  using grpc::reflection::v1alpha::ServerReflectionResponse;
  using Stream = grpc::ClientReaderWriter<ServerReflectionRequest, ServerReflectionResponse>;
  AddWorker(Spec("a"));
  const auto hostile = ServerReflection::NewStub(AnotherChannel());
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<Stream>> streams;
  for (size_t i = 0; i < 520; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    streams.push_back(hostile->ServerReflectionInfo(contexts.back().get()));
    // Those that shall be there first are.
    if (i < limits::kMaxReflectionStreams) streams.back()->WaitForInitialMetadata();
  }
  for (size_t i = limits::kMaxReflectionStreams; i < streams.size(); ++i) {
    ExpectError(streams[i]->Finish(), StatusCode::RESOURCE_EXHAUSTED, "max_reflection_streams: 64");
  }
  ExpectServed();
  const auto other = ServerReflection::NewStub(AnotherChannel());
  grpc::ClientContext context;
  const auto stream = other->ServerReflectionInfo(&context);
  ServerReflectionRequest request;
  request.set_list_services("");
  EXPECT_TRUE(stream->Write(request));
  ServerReflectionResponse response;
  EXPECT_TRUE(stream->Read(&response));
  context.TryCancel();
  for (auto& c : contexts) c->TryCancel();
  for (size_t i = 0; i < limits::kMaxReflectionStreams; ++i) streams[i]->Finish();
}

TEST_F(HostileClientTest, IdleStreamsMakeRoomForAConnectionThatHasFewer) {
  AddWorker(Spec("a"));
  grpc::ClientContext contexts[4];
  std::vector<std::unique_ptr<RouteStream>> streams;
  v1::RouteStreamResponse response;
  for (grpc::ClientContext& context : contexts) {
    streams.push_back(router_stub_->RouteStream(&context));
    ASSERT_TRUE(streams.back()->Write(Ask(5)));
    ASSERT_TRUE(streams.back()->Read(&response));
  }
  const auto other = v1::Router::NewStub(AnotherChannel());
  grpc::ClientContext others[3];
  for (int i = 0; i < 2; ++i) {
    streams.push_back(other->RouteStream(&others[i]));
    ASSERT_TRUE(streams.back()->Write(Ask(5)));
    ASSERT_TRUE(streams.back()->Read(&response));
  }
  // Two each: nobody gives way to more.
  ExpectError(other->RouteStream(&others[2])->Finish(), StatusCode::RESOURCE_EXHAUSTED,
              "4 are open already");
  EXPECT_EQ(stats_.ended_rpc_streams, 2u);
  EXPECT_FALSE(streams[0]->Read(&response)) << "idle for longest";
  ExpectError(streams[0]->Finish(), StatusCode::RESOURCE_EXHAUSTED, "made room");
  for (grpc::ClientContext& context : contexts) context.TryCancel();
  for (grpc::ClientContext& context : others) context.TryCancel();
  for (size_t i = 1; i < streams.size(); ++i) streams[i]->Finish();
}

TEST_F(HostileClientTest, AStreamWithoutRequestsEnds) {
  GrpcServerOptions options;
  options.stream_idle_timeout = milliseconds(300);
  Restart(options);
  grpc::ClientContext context;
  const auto stream = AnsweredStream(&context);
  v1::RouteStreamResponse response;
  EXPECT_FALSE(stream->Read(&response));
  ExpectError(stream->Finish(), StatusCode::RESOURCE_EXHAUSTED, "grpc.stream_idle_timeout");
  EXPECT_EQ(stats_.ended_rpc_streams, 1u);
}

TEST_F(HostileClientTest, LongPromptsAreAnsweredTooAlsoOnStreams) {
  GrpcServerOptions options;
  Restart(options);
  AddWorker(Spec("a"));
  Store("a", Tokens(400'000));
  const v1::RouteRequest request = Ask(400'000);
  ASSERT_GT(request.ByteSizeLong(), limits::kMaxShortMessageBytes);
  for (int i = 0; i < 3; ++i) {
    grpc::ClientContext context;
    v1::RouteResponse response;
    ASSERT_TRUE(router_stub_->Route(&context, request, &response).ok());
    EXPECT_EQ(response.chosen().matched_tokens(), 400'000u);
  }
  grpc::ClientContext context;
  const auto stream = router_stub_->RouteStream(&context);
  for (const size_t tokens : {400'000, 10, 400'000}) {
    v1::RouteStreamResponse response;
    ASSERT_TRUE(stream->Write(Ask(tokens)));
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.response().total_tokens(), tokens);
  }
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(HostileClientTest, WhatAFloodOfCallsTookIsGivenBack) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's heap is not the C library's";
  constexpr size_t kMost = size_t{4} << 20;
  AddWorker(Spec("a"));
  ExpectServed();
  const size_t before = mallinfo2().uordblks;
  for (const std::string_view path : {kRoute, std::string_view("/grpc.health.v1.Health/Check")}) {
    Http2Connection hostile(server_->port(), /*window=*/0);
    for (uint32_t call = 1; call < 2 * limits::kMaxCallsUnderWay; call += 2) {
      hostile.Headers(call, path).Message(call, "");
    }
    hostile.Flush();
    EXPECT_TRUE(hostile.raw().ClosedByPeer());
  }
  const auto deadline = std::chrono::steady_clock::now() + seconds(30);
  while (mallinfo2().uordblks > before + kMost && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_LE(mallinfo2().uordblks, before + kMost);
  ExpectServed();
}

// A thread of long work may be done with a call before the event loop has put it aside.
TEST_F(HostileClientTest, CallsThatAreRefusedByLongWorkAreAnsweredOnce) {
  constexpr int kClients = 4, kCallsOfEach = 2'000;
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([this] {
      const auto fleet = v1::Fleet::NewStub(AnotherChannel());
      for (int call = 0; call < kCallsOfEach; ++call) {
        grpc::ClientContext context;
        v1::RegisterResponse response;
        const grpc::Status status = fleet->Register(&context, {}, &response);
        ASSERT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << status.error_message();
      }
    });
  }
  for (std::thread& client : clients) client.join();
}

TEST_F(HostileClientTest, ADeadlineInThreeCenturiesHasNotPassed) {
  AddWorker(Spec("a"));
  for (const int64_t years : {290, 292, 293, 300, 10'000}) {
    grpc::ClientContext context;
    context.set_deadline(gpr_time_add(gpr_now(GPR_CLOCK_REALTIME),
                                      gpr_time_from_hours(years * 365 * 24, GPR_TIMESPAN)));
    v1::RouteResponse response;
    const grpc::Status status = router_stub_->Route(&context, Ask(10), &response);
    EXPECT_TRUE(status.ok()) << years << ": " << status.error_message();
  }
}

}  // namespace
}  // namespace kvroute
