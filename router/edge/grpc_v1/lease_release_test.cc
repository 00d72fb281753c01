// What becomes of the lease of a call that its client gave up, over the wire.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "test/support/server_fixture.h"

namespace kvroute {
namespace {

using std::chrono::microseconds;

class LeaseReleaseTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    AddWorker(Spec("a"));
  }
  void AwaitLeases(uint64_t leases) {
    while (loads_.Stats().leases != leases) std::this_thread::yield();
  }
  // A lease that is taken and told over a stream.
  static void RouteOver(RouteStream* stream, const std::string& id, bool tied) {
    v1::RouteRequest request = Ask(10);
    request.set_request_id(id);
    request.set_tie_to_stream(tied);
    v1::RouteStreamResponse response;
    ASSERT_TRUE(stream->Write(request));
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.response().request_id(), id) << response.error().message();
  }
};

// A client gives up at its own deadline, which by the time the answer is on its way may have
// passed.
TEST_F(LeaseReleaseTest, NoLeaseStaysOfACallThatMissedItsDeadline) {
  {
    grpc::ClientContext context;  // the connection stands
    v1::RouteResponse response;
    ASSERT_TRUE(router_stub_->Route(&context, Ask(10), &response).ok());
  }
  uint64_t told = 1;
  for (int i = 0; i < 300; ++i) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + microseconds(100 + i));
    v1::RouteResponse response;
    if (router_stub_->Route(&context, Ask(10), &response).ok()) ++told;
  }
  // What has come before is answered before this.
  grpc::ClientContext context;
  v1::ListResponse list;
  ASSERT_TRUE(fleet_stub_->List(&context, {}, &list).ok());
  const auto stay = [&] { return loads_.Stats().leases; };
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (stay() > told && std::chrono::steady_clock::now() < patience) std::this_thread::yield();
  EXPECT_LE(stay(), told) << "of calls that told their client nothing";
  EXPECT_GE(stay(), 1u);
}

TEST_F(LeaseReleaseTest, ACallWithTimeLeftKeepsItsLease) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::hours(1));
  v1::RouteResponse response;
  ASSERT_TRUE(router_stub_->Route(&context, Ask(10), &response).ok());
  grpc::ClientContext list_context;
  v1::ListResponse list;
  ASSERT_TRUE(fleet_stub_->List(&list_context, {}, &list).ok());
  EXPECT_EQ(loads_.Stats().leases, 1u);
  EXPECT_EQ(loads_.Stats().abandoned, 0u);
}

TEST_F(LeaseReleaseTest, LeasesTiedToAStreamEndWithIt) {
  for (const bool cancelled : {true, false}) {
    grpc::ClientContext context;
    const auto stream = router_stub_->RouteStream(&context);
    for (int i = 0; i < 20; ++i) RouteOver(stream.get(), absl::StrCat("tied", i), true);
    RouteOver(stream.get(), absl::StrCat("free", cancelled), false);
    EXPECT_EQ(loads_.Stats().leases, cancelled ? 21u : 22u);
    if (cancelled) context.TryCancel();
    stream->WritesDone();
    stream->Finish();
    AwaitLeases(cancelled ? 1 : 2);
  }
  EXPECT_EQ(loads_.Stats().stream_ended, 40u);
  EXPECT_EQ(loads_.Stats().abandoned, 0u);
}

TEST_F(LeaseReleaseTest, ACallThatIsNoStreamCannotBeTiedToOne) {
  v1::RouteRequest request = Ask(10);
  request.set_tie_to_stream(true);
  grpc::ClientContext context;
  v1::RouteResponse response;
  ExpectError(router_stub_->Route(&context, request, &response), grpc::StatusCode::INVALID_ARGUMENT,
              "tie_to_stream");
}

TEST_F(LeaseReleaseTest, ARequestAskedAgainIsToldSoAndItsProgressIsTaken) {
  v1::RouteRequest request = Ask(10);
  request.set_request_id("r");
  for (const bool repeat : {false, true}) {
    grpc::ClientContext context;
    v1::RouteResponse response;
    ASSERT_TRUE(router_stub_->Route(&context, request, &response).ok());
    EXPECT_EQ(response.is_repeat(), repeat);
    EXPECT_EQ(response.request_id(), "r");
  }
  v1::CompleteRequest progress;
  progress.set_request_id("r");
  progress.set_progress(v1::CompleteRequest::PROGRESS_RUNNING);
  grpc::ClientContext context;
  v1::CompleteResponse response;
  ASSERT_TRUE(router_stub_->Complete(&context, progress, &response).ok());
  EXPECT_TRUE(response.known());
  EXPECT_EQ(loads_.Stats().leases, 1u);
  EXPECT_EQ(loads_.Stats().renewed, 1u);
}

}  // namespace
}  // namespace kvroute
