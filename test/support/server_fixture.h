#ifndef KVROUTE_TEST_SUPPORT_SERVER_FIXTURE_H_
#define KVROUTE_TEST_SUPPORT_SERVER_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "kvroute/v1/fleet.grpc.pb.h"
#include "kvroute/v1/router.grpc.pb.h"
#include "router/edge/grpc_v1/server.h"
#include "test/support/routing_fixture.h"

namespace kvroute {

// On a free port of the loopback.
std::unique_ptr<GrpcServer> MustStart(GrpcServerOptions options, RoutingFixture* fixture);

// A server with small limits over a fleet of the test's, and a client of it.
class ServerTest : public testing::Test, protected RoutingFixture {
 protected:
  void Start(const GrpcServerOptions& options);
  void SetUp() override {
    GrpcServerOptions options;
    options.max_message_bytes = 65'536;
    options.max_streams = 4;
    Start(options);
  }
  // Before what it serves.
  void TearDown() override { server_.reset(); }

  static v1::RouteRequest Ask(size_t tokens);
  static void ExpectError(const grpc::Status& status, grpc::StatusCode code,
                          const std::string& part);
  // A stream that has had one answer, from a worker that is added.
  using RouteStream = grpc::ClientReaderWriter<v1::RouteRequest, v1::RouteStreamResponse>;
  std::unique_ptr<RouteStream> AnsweredStream(grpc::ClientContext* context);
  // One call by its full name, with raw bytes: for services whose stubs Debian does not ship.
  grpc::Status CallRaw(const std::string& method, const std::string& request,
                       std::string* response);

  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Router::Stub> router_stub_;
  std::unique_ptr<v1::Fleet::Stub> fleet_stub_;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_SERVER_FIXTURE_H_
