#include "tools/client/api_client.h"

#include <grpcpp/grpcpp.h>

#include <deque>
#include <tuple>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "indexer/base/read_file.h"
#include "indexer/base/text.h"
#include "kvroute/v1/fleet.grpc.pb.h"
#include "kvroute/v1/router.grpc.pb.h"
#include "tools/client/client_options.h"

namespace kvroute {

namespace {

// Why nobody answers, in the words of gRPC's last attempt, which come after many others.
std::string CauseOf(const grpc::Status& status) {
  const std::string& message = status.error_message();
  constexpr absl::string_view kHost = "Failed to connect to remote host: ";
  if (const size_t at = message.find(kHost.data()); at != std::string::npos) {
    return message.substr(at + kHost.size());
  }
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED ||
      message.find("before receiving SETTINGS frame") != std::string::npos) {
    return "nothing there speaks gRPC, or nothing is there";
  }
  return message;
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> CredentialsOf(
    const ClientOptions& options) {
  const ClientSecurity& security = options.security;
  if (!options.server.tls) {
    if (security.ca_file.empty() && security.certificate_file.empty()) {
      return grpc::InsecureChannelCredentials();
    }
    return absl::InvalidArgumentError("--ca-file, --cert-file: for https:// or grpcs:// addresses");
  }
  grpc::SslCredentialsOptions ssl;
  const std::tuple<const char*, const std::string*, std::string*> files[] = {
      {"--ca-file", &security.ca_file, &ssl.pem_root_certs},
      {"--cert-file", &security.certificate_file, &ssl.pem_cert_chain},
      {"--key-file", &security.key_file, &ssl.pem_private_key}};
  for (const auto& [flag, path, text] : files) {
    if (path->empty()) continue;
    absl::StatusOr<std::string> read = ReadFile(*path, limits::kMaxKeyFileBytes);
    if (!read.ok()) return InvalidArgument("{}: {}", flag, MessageOf(read.status()));
    *text = *std::move(read);
  }
  return grpc::SslCredentials(ssl);
}

grpc::ChannelArguments Arguments() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);  // the list of a large fleet
  // Channels of one address share a connection, and with it its back-off, unless told otherwise.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  return arguments;
}

}  // namespace

class ApiClient::Stubs {
 public:
  Stubs(std::string address, const std::shared_ptr<grpc::ChannelCredentials>& credentials,
        std::string token, std::chrono::milliseconds timeout)
      : address_(std::move(address)), token_(std::move(token)), timeout_(timeout) {
    channel_ = grpc::CreateCustomChannel(address_, credentials, Arguments());
    router = v1::Router::NewStub(channel_);
    fleet = v1::Fleet::NewStub(channel_);
  }

  absl::Status Connect(std::chrono::milliseconds within) const {
    if (channel_->WaitForConnected(std::chrono::system_clock::now() + within)) {
      return absl::OkStatus();
    }
    grpc::ClientContext context;  // says what the last attempt met
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
    v1::ListResponse response;
    const grpc::Status status = fleet->List(&context, v1::ListRequest(), &response);
    if (status.ok()) return absl::OkStatus();
    return absl::UnavailableError(
        absl::StrCat(address_, ": cannot be reached: ", OneLine(CauseOf(status))));
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
    if (!token_.empty()) context->AddMetadata("authorization", "Bearer " + token_);
  }
  static absl::Status StatusOf(absl::string_view name, const grpc::Status& status) {
    if (status.ok()) return absl::OkStatus();
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                        absl::StrCat(name, ": ", status.error_message()));
  }

  std::unique_ptr<v1::Router::Stub> router;
  std::unique_ptr<v1::Fleet::Stub> fleet;

 private:
  const std::string address_;
  const std::string token_;
  const std::chrono::milliseconds timeout_;
  std::shared_ptr<grpc::Channel> channel_;
};

ApiClient::ApiClient(std::unique_ptr<Stubs> stubs) : stubs_(std::move(stubs)) {}

ApiClient::ApiClient(const std::string& address, std::chrono::milliseconds timeout) {
  const auto server = ParseServerAddress("", address, 0);
  stubs_ = std::make_unique<Stubs>(server.ok() ? server->Text() : address,
                                   grpc::InsecureChannelCredentials(), "", timeout);
}

absl::StatusOr<std::unique_ptr<ApiClient>> ApiClient::Create(const ClientOptions& options) {
  const auto credentials = CredentialsOf(options);
  if (!credentials.ok()) return credentials.status();
  const absl::StatusOr<std::string> token = ReadToken(options.security);
  if (!token.ok()) return token.status();
  return absl::WrapUnique(new ApiClient(
      std::make_unique<Stubs>(options.server.Text(), *credentials, *token, options.timeout)));
}

ApiClient::~ApiClient() = default;

absl::Status ApiClient::Connect(std::chrono::milliseconds within) const {
  return stubs_->Connect(within);
}

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

absl::Status ApiClient::SetDraining(const v1::SetDrainingRequest& request) const {
  v1::SetDrainingResponse response;
  return stubs_->Call("Fleet.SetDraining", stubs_->fleet.get(), &v1::Fleet::Stub::SetDraining,
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

absl::StatusOr<v1::ExplainResponse> ApiClient::Explain(const v1::RouteRequest& request) const {
  v1::ExplainResponse response;
  const absl::Status status = stubs_->Call("Router.Explain", stubs_->router.get(),
                                           &v1::Router::Stub::Explain, request, &response);
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
