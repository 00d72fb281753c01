// Health, reflection, and how a server starts and ends.
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
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

#include "absl/strings/str_cat.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "test/support/server_fixture.h"

namespace kvroute {
namespace {

using grpc::StatusCode;
using std::chrono::milliseconds;
using testing::HasSubstr;

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

TEST_F(ServerTest, HealthIsAskedByEveryServiceThatReflectionNames) {
  using grpc::health::v1::HealthCheckResponse;
  const auto health = grpc::health::v1::Health::NewStub(channel_);
  server_->SetServing(false);
  for (const char* service :
       {"", "readiness", "kvroute.v1.Router", "kvroute.v1.Fleet", "radix_index.RadixIndex",
        "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}) {
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(service);
    grpc::ClientContext check_context, watch_context;
    HealthCheckResponse response;
    ASSERT_TRUE(health->Check(&check_context, request, &response).ok()) << service;
    EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING) << service;
    const auto watch = health->Watch(&watch_context, request);
    ASSERT_TRUE(watch->Read(&response)) << service;
    EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING) << service;
    watch_context.TryCancel();
    (void)watch->Finish();
  }
  std::string response;
  ASSERT_TRUE(CallRaw("/grpc.health.v1.Health/Check", "\x0a\x08liveness", &response).ok());
  EXPECT_EQ(response, "\x08\x01") << "it lives, ready or not";
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
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::minutes(5));
  close(client);
}

TEST_F(ServerTest, ShutdownWaitsForAnOpenStreamThatEnds) {
  grpc::ClientContext context;
  const std::unique_ptr<RouteStream> stream = AnsweredStream(&context);
  v1::RouteStreamResponse response;
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
  grpc::ClientContext context;
  const std::unique_ptr<RouteStream> stream = AnsweredStream(&context);
  v1::RouteStreamResponse response;
  server_->Shutdown(milliseconds(10));
  server_->Shutdown(milliseconds(10));
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_FALSE(stream->Finish().ok());
}

TEST_F(ServerTest, AnAddressInUseOrOptionsOutOfRangeAreErrors) {
  GrpcServerOptions options;
  options.address = absl::StrCat("127.0.0.1:", server_->port());
  const auto second = GrpcServer::Start(options, &router_, &fleet_, &stats_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("cannot listen on \"127.0.0.1:"));
  options.max_threads = 0;
  EXPECT_EQ(GrpcServer::Start(options, &router_, &fleet_, &stats_).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace kvroute
