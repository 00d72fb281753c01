#include "tools/client/api_client.h"

#include <grpcpp/grpcpp.h>

#include <deque>

#include "absl/strings/str_cat.h"
#include "kvroute/v1/fleet.grpc.pb.h"
#include "kvroute/v1/router.grpc.pb.h"

namespace kvroute {

class ApiClient::Stubs {
 public:
  Stubs(const std::string& address, std::chrono::milliseconds timeout) : timeout_(timeout) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);  // the list of a large fleet
    // Channels of one address share a connection, and with it its back-off, unless told otherwise.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
    const auto channel =
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
    router = v1::Router::NewStub(channel);
    fleet = v1::Fleet::NewStub(channel);
  }

  // `method` is a stub's; one call with the timeout, its status with `name` in front.
  template <typename Stub, typename Request, typename Response>
  absl::Status Call(absl::string_view name, Stub* stub,
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response* response) const {
    grpc::ClientContext context;
    Prepare(&context);
    return StatusOf(name, (stub->*method)(&context, request, response));
  }
  void Prepare(grpc::ClientContext* context) const {
    context->set_deadline(std::chrono::system_clock::now() + timeout_);
    context->set_wait_for_ready(true);
  }
  static absl::Status StatusOf(absl::string_view name, const grpc::Status& status) {
    if (status.ok()) return absl::OkStatus();
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                        absl::StrCat(name, ": ", status.error_message()));
  }

  std::unique_ptr<v1::Router::Stub> router;
  std::unique_ptr<v1::Fleet::Stub> fleet;

 private:
  const std::chrono::milliseconds timeout_;
};

ApiClient::ApiClient(const std::string& address, std::chrono::milliseconds timeout)
    : stubs_(std::make_unique<Stubs>(address, timeout)) {}

ApiClient::~ApiClient() = default;

absl::Status ApiClient::Register(const v1::Worker& worker) const {
  v1::RegisterRequest request;
  *request.mutable_worker() = worker;
  v1::RegisterResponse response;
  return stubs_->Call("Fleet.Register", stubs_->fleet.get(), &v1::Fleet::Stub::Register, request,
                      &response);
}

absl::Status ApiClient::Deregister(const std::string& worker_id) const {
  v1::DeregisterRequest request;
  request.set_worker_id(worker_id);
  v1::DeregisterResponse response;
  return stubs_->Call("Fleet.Deregister", stubs_->fleet.get(), &v1::Fleet::Stub::Deregister,
                      request, &response);
}

absl::StatusOr<v1::ListResponse> ApiClient::List() const {
  v1::ListResponse response;
  const absl::Status status = stubs_->Call("Fleet.List", stubs_->fleet.get(),
                                           &v1::Fleet::Stub::List, v1::ListRequest(), &response);
  if (!status.ok()) return status;
  return response;
}

absl::StatusOr<v1::ScoreResponse> ApiClient::Score(const v1::ScoreRequest& request) const {
  v1::ScoreResponse response;
  const absl::Status status = stubs_->Call("Router.Score", stubs_->router.get(),
                                           &v1::Router::Stub::Score, request, &response);
  if (!status.ok()) return status;
  return response;
}

absl::StatusOr<v1::RouteResponse> ApiClient::Route(const v1::RouteRequest& request) const {
  v1::RouteResponse response;
  const absl::Status status = stubs_->Call("Router.Route", stubs_->router.get(),
                                           &v1::Router::Stub::Route, request, &response);
  if (!status.ok()) return status;
  return response;
}

absl::StatusOr<std::vector<v1::RouteResponse>> ApiClient::RouteAll(
    absl::Span<const v1::RouteRequest> requests) const {
  constexpr absl::string_view kName = "Router.RouteStream";
  grpc::ClientContext context;
  stubs_->Prepare(&context);
  const auto stream = stubs_->router->RouteStream(&context);
  // A stream that broke says so when it is read and finished.
  for (const v1::RouteRequest& request : requests) stream->Write(request);
  stream->WritesDone();
  std::vector<v1::RouteResponse> responses;
  absl::Status first_error;
  v1::RouteStreamResponse answer;
  while (stream->Read(&answer)) {
    if (answer.has_error()) {
      first_error.Update(absl::Status(static_cast<absl::StatusCode>(answer.error().code()),
                                      absl::StrCat(kName, ": ", answer.error().message())));
    } else {
      responses.push_back(std::move(*answer.mutable_response()));
    }
  }
  first_error.Update(Stubs::StatusOf(kName, stream->Finish()));
  if (!first_error.ok()) return first_error;
  if (responses.size() != requests.size()) {
    return absl::InternalError(
        absl::StrCat(kName, ": ", responses.size(), " answers to ", requests.size(), " requests"));
  }
  return responses;
}

absl::StatusOr<v1::CompleteResponse> ApiClient::Complete(const v1::CompleteRequest& request) const {
  v1::CompleteResponse response;
  const absl::Status status = stubs_->Call("Router.Complete", stubs_->router.get(),
                                           &v1::Router::Stub::Complete, request, &response);
  if (!status.ok()) return status;
  return response;
}

absl::Status ApiClient::CompleteAll(absl::Span<const v1::CompleteRequest> requests) const {
  struct Call {
    grpc::ClientContext context;
    grpc::Status status;
    v1::CompleteResponse response;
    std::unique_ptr<grpc::ClientAsyncResponseReader<v1::CompleteResponse>> reader;
  };
  grpc::CompletionQueue answered;
  std::deque<Call> calls;  // an element stays where it is
  for (const v1::CompleteRequest& request : requests) {
    Call& call = calls.emplace_back();
    stubs_->Prepare(&call.context);
    call.reader = stubs_->router->AsyncComplete(&call.context, request, &answered);
    call.reader->Finish(&call.response, &call.status, &call);
  }
  absl::Status first_error;
  void* tag = nullptr;
  bool finished = false;
  for (size_t i = 0; i < calls.size(); ++i) {
    answered.Next(&tag, &finished);
    first_error.Update(Stubs::StatusOf("Router.Complete", static_cast<Call*>(tag)->status));
  }
  answered.Shutdown();
  while (answered.Next(&tag, &finished)) {
  }
  return first_error;
}

}  // namespace kvroute
