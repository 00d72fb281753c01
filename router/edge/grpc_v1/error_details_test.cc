#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "indexer/base/api_limits.h"
#include "kvroute/rpc/error.pb.h"
#include "router/edge/grpc_base/grpc_status.h"
#include "test/support/server_fixture.h"

namespace kvroute {
namespace {

using grpc::StatusCode;
using testing::Contains;
using testing::ElementsAre;
using testing::Pair;

// The one detail of an error, as any client's library reads it.
rpc::ErrorInfo InfoOf(const grpc::Status& status) {
  rpc::Status details;
  EXPECT_TRUE(details.ParseFromString(status.error_details())) << status.error_message();
  EXPECT_EQ(details.code(), static_cast<int>(status.error_code()));
  EXPECT_EQ(details.message(), status.error_message());
  rpc::ErrorInfo info;
  if (details.details_size() != 1) {
    ADD_FAILURE() << details.details_size() << " details of: " << status.error_message();
    return info;
  }
  EXPECT_EQ(details.details(0).type_url(), "type.googleapis.com/google.rpc.ErrorInfo");
  EXPECT_TRUE(info.ParseFromString(details.details(0).value()));
  EXPECT_EQ(info.domain(), "kvroute");
  return info;
}

class ErrorDetailsTest : public ServerTest {
 protected:
  grpc::Status RouteStatus(const v1::RouteRequest& request) {
    grpc::ClientContext context;
    v1::RouteResponse response;
    return router_stub_->Route(&context, request, &response);
  }
  grpc::Status RegisterStatus(const WorkerSpec& spec) {
    grpc::ClientContext context;
    v1::RegisterRequest request;
    v1::RegisterResponse response;
    v1::Worker* const worker = request.mutable_worker();
    worker->set_worker_id(spec.worker_id);
    worker->set_address(spec.address);
    worker->set_model(spec.model);
    worker->set_event_endpoint(spec.event_endpoint);
    worker->set_data_parallel_size(spec.data_parallel_size);
    return fleet_stub_->Register(&context, request, &response);
  }
};

TEST_F(ErrorDetailsTest, AnUnknownModelIsNotFoundAndNobodyRetriesIt) {
  AddWorker(Spec("a"));
  v1::RouteRequest request = Ask(10);
  request.set_model("M");
  const grpc::Status status = RouteStatus(request);
  ExpectError(status, StatusCode::NOT_FOUND, "model: no worker serves \"M\"");
  const rpc::ErrorInfo info = InfoOf(status);
  EXPECT_EQ(info.reason(), "UNKNOWN_MODEL");
  EXPECT_THAT(info.metadata(), ElementsAre(Pair("model", "M")));
  constexpr auto kRoute = static_cast<size_t>(RpcMethod::kRoute);
  EXPECT_EQ(stats_.requests[kRoute][StatusCode::NOT_FOUND], 1u);
  EXPECT_EQ(stats_.requests[kRoute][StatusCode::UNAVAILABLE], 0u) << "an alert counts these";
}

TEST_F(ErrorDetailsTest, NobodyAtAllIsUnavailable) {
  const grpc::Status status = RouteStatus(Ask(10));
  EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(InfoOf(status).reason(), "NO_WORKERS");
}

TEST_F(ErrorDetailsTest, WhyNobodyMayBeChosenIsCounted) {
  AddWorker(Spec("a"));
  ASSERT_TRUE(fleet_.SetDraining("a", true).ok());
  const grpc::Status status = RouteStatus(Ask(10));
  EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE);
  const rpc::ErrorInfo info = InfoOf(status);
  EXPECT_EQ(info.reason(), "NO_ELIGIBLE_WORKER");
  const std::map<std::string, std::string> facts(info.metadata().begin(), info.metadata().end());
  EXPECT_THAT(facts, ElementsAre(Pair("draining", "1"), Pair("model", "m"), Pair("targets", "1")));
}

TEST_F(ErrorDetailsTest, AFieldThatIsWrongIsNamed) {
  AddWorker(Spec("a"));
  rpc::ErrorInfo info = InfoOf(RouteStatus(Ask(0)));
  EXPECT_EQ(info.reason(), "INVALID_FIELD");
  EXPECT_THAT(info.metadata(), ElementsAre(Pair("field", "prompt")));
  WorkerSpec second = Spec("b");
  second.model = "m2";
  AddWorker(second);
  v1::RouteRequest request = Ask(10);
  request.clear_model();
  info = InfoOf(RouteStatus(request));
  EXPECT_EQ(info.reason(), "MODEL_NOT_NAMED");
  EXPECT_THAT(info.metadata(), ElementsAre(Pair("models", "2")));
}

TEST_F(ErrorDetailsTest, EveryRefusalOfAChangeOfTheFleetHasItsReason) {
  WorkerSpec spec = Spec("a");
  ASSERT_TRUE(RegisterStatus(spec).ok());
  WorkerSpec other = spec;
  other.worker_id = "b";
  rpc::ErrorInfo info = InfoOf(RegisterStatus(other));
  EXPECT_EQ(info.reason(), "ENDPOINT_IN_USE");
  EXPECT_THAT(info.metadata(), Contains(Pair("worker_id", "a")));
  other.event_endpoint = "nowhere";
  info = InfoOf(RegisterStatus(other));
  EXPECT_EQ(info.reason(), "INVALID_FIELD");
  EXPECT_THAT(info.metadata(), ElementsAre(Pair("field", "event_endpoint")));
  grpc::ClientContext context;
  v1::DeregisterRequest gone;
  gone.set_worker_id("nobody");
  v1::DeregisterResponse none;
  const grpc::Status unknown = fleet_stub_->Deregister(&context, gone, &none);
  EXPECT_EQ(unknown.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(InfoOf(unknown).reason(), "UNKNOWN_WORKER");
  ASSERT_TRUE(fleet_.ApplyConfig({Spec("c")}).ok());
  info = InfoOf(RegisterStatus(Spec("c")));
  EXPECT_EQ(info.reason(), "OTHER_OWNER");
  EXPECT_THAT(info.metadata(), Contains(Pair("owner", "config")));
}

TEST_F(ErrorDetailsTest, BytesThatAreNoRequestAreSaidToBeNone) {
  std::string response;
  const grpc::Status status = CallRaw("/kvroute.v1.Router/Route", "\xff\xff\xff", &response);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(InfoOf(status).reason(), "MALFORMED_REQUEST");
}

TEST_F(ErrorDetailsTest, AStreamTellsTheReasonInItsAnswerAndGoesOn) {
  grpc::ClientContext context;
  const std::unique_ptr<RouteStream> stream = AnsweredStream(&context);
  v1::RouteRequest request = Ask(10);
  request.set_model("M");
  v1::RouteStreamResponse response;
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.error().code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(response.error().reason(), "UNKNOWN_MODEL");
  EXPECT_EQ(response.error().metadata().at("model"), "M");
  ASSERT_TRUE(stream->Write(Ask(10)));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_TRUE(response.has_response());
}

TEST(ToGrpcTest, DetailsThatWouldBeTooLongAreLeftOut) {
  const std::string message(limits::kMaxErrorDetailBytes, 'x');
  const grpc::Status status = ToGrpc(absl::NotFoundError(message));
  EXPECT_EQ(status.error_message(), message);
  EXPECT_EQ(status.error_details(), "");
  EXPECT_NE(ToGrpc(absl::NotFoundError("short")).error_details(), "");
}

}  // namespace
}  // namespace kvroute
