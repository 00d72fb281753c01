// Whose leases a client's calls begin and end, over the wire.
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "test/support/server_fixture.h"

namespace kvroute {
namespace {

class LeaseRightsTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    AddWorker(Spec("a"));
    other_ = AnotherClient();
  }
  // On a connection of its own.
  std::unique_ptr<v1::Router::Stub> AnotherClient() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return v1::Router::NewStub(
        grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", server_->port()),
                                  grpc::InsecureChannelCredentials(), arguments));
  }
  // The id of the lease.
  static std::string Route(v1::Router::Stub* client, const std::string& request_id) {
    v1::RouteRequest request = Ask(10);
    request.set_request_id(request_id);
    grpc::ClientContext context;
    v1::RouteResponse response;
    const grpc::Status status = client->Route(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.request_id();
  }
  static bool End(v1::Router::Stub* client, const std::string& request_id) {
    v1::CompleteRequest request;
    request.set_request_id(request_id);
    request.set_progress(v1::CompleteRequest::PROGRESS_ENDED);
    grpc::ClientContext context;
    v1::CompleteResponse response;
    EXPECT_TRUE(client->Complete(&context, request, &response).ok());
    return response.known();
  }

  std::unique_ptr<v1::Router::Stub> other_;
};

TEST_F(LeaseRightsTest, AnotherClientDoesNotEndAnIdThatItGuessed) {
  Route(router_stub_.get(), "r1");
  EXPECT_FALSE(End(other_.get(), "r1"));
  EXPECT_EQ(loads_.Stats().leases, 1u);
  EXPECT_EQ(loads_.Stats().refused_ends, 1u);
  EXPECT_TRUE(End(router_stub_.get(), "r1"));
}

TEST_F(LeaseRightsTest, WhoWasToldAnIdOfKvroutesMayEndIt) {
  const std::string id = Route(router_stub_.get(), "");
  EXPECT_NE(Route(router_stub_.get(), ""), id);
  EXPECT_TRUE(End(other_.get(), id));
}

TEST_F(LeaseRightsTest, AClientThatHadToConnectAgainEndsItsLeases) {
  Route(other_.get(), "r1");
  other_.reset();
  while (stats_.connections != 0) std::this_thread::yield();
  other_ = AnotherClient();
  while (!End(other_.get(), "r1")) std::this_thread::yield();
  EXPECT_EQ(loads_.Stats().leases, 0u);
}

// What was answered was routed, whatever becomes of the stream.
TEST_F(LeaseRightsTest, ALeaseThatWasToldOutlivesItsStream) {
  for (const bool cancelled : {true, false}) {
    grpc::ClientContext context;
    const auto stream = router_stub_->RouteStream(&context);
    v1::RouteStreamResponse response;
    ASSERT_TRUE(stream->Write(Ask(5)));
    ASSERT_TRUE(stream->Read(&response));
    if (cancelled) context.TryCancel();
    stream->WritesDone();
    stream->Finish();
    while (stats_.open_rpc_streams != 0) std::this_thread::yield();
  }
  EXPECT_EQ(loads_.Stats().leases, 2u);
  EXPECT_EQ(loads_.Stats().abandoned, 0u);
}

}  // namespace
}  // namespace kvroute
