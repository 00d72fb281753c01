#include "router/edge/grpc_v1/router_service.h"

#include <string>
#include <type_traits>

#include "indexer/base/error_reason.h"
#include "indexer/base/limits.h"
#include "router/edge/grpc_v1/answers.h"
#include "router/edge/grpc_v1/prompt_numbers.h"

namespace kvroute {
namespace {

// What Explain says of a target, in the Router's own words, as a message and as bytes, at most
// about.
constexpr size_t kExplainedTargetBytes = 2'048;

template <typename Response>
void SetStreamError(const absl::Status& status, Response* response) {
  v1::StreamError* error = response->mutable_error();
  error->set_code(static_cast<int>(status.code()));
  error->set_message(std::string(status.message()));
  ErrorDetail detail = DetailOf(status);
  error->set_reason(std::string(kErrorReasonNames[detail.reason]));
  for (auto& [name, value] : detail.facts) (*error->mutable_metadata())[name] = std::move(value);
}

}  // namespace

RouterService::RouterService(Router* router, const RouterServiceOptions& options)
    : router_(router), streams_(options.streams), max_streams_(options.max_streams) {
  SetUpUnary<decltype(route_), &RouterService::RequestRoute>(&route_, RpcMethod::kRoute);
  SetUpUnary<decltype(score_), &RouterService::RequestScore>(&score_, RpcMethod::kScore);
  SetUpUnary<decltype(complete_), &RouterService::RequestComplete>(&complete_,
                                                                   RpcMethod::kComplete);
  SetUpUnary<decltype(explain_), &RouterService::RequestExplain>(&explain_, RpcMethod::kExplain);
  explain_.takes_long = true;
  SetUpStream<decltype(route_stream_), &RouterService::RequestRouteStream>(&route_stream_, options);
  SetUpStream<decltype(score_stream_), &RouterService::RequestScoreStream>(&score_stream_, options);
  explain_.answer_bytes = [router] { return router->TargetCount() * kExplainedTargetBytes; };
  route_.name_of = [](const v1::RouteResponse& response) { return response.request_id(); };
  route_stream_.name_of = [](const v1::RouteStreamResponse& response) {
    return response.response().request_id();
  };
  route_.undelivered = route_stream_.undelivered = [router](const std::string& request_id) {
    if (!request_id.empty()) router->Abandon(request_id);
  };
  route_stream_.ended = [router](uint64_t stream) { router->StreamEnded(stream); };
}

template <typename Method, auto kAwait>
void RouterService::SetUpUnary(Method* method, RpcMethod counted_as) {
  method->await = kAwait;
  method->counted_as = counted_as;
  method->answer = [this](const ClientId& client, const typename Method::Request& request,
                          const LongNumbers& numbers, typename Method::Response* response) {
    if constexpr (std::is_same_v<typename Method::Request, v1::CompleteRequest>) {
      return Answer(router_, client, request, response);
    } else {
      return Answer(router_, client, request, response, numbers);
    }
  };
  if constexpr (!std::is_same_v<typename Method::Request, v1::CompleteRequest>) {
    method->take_numbers = &TakePromptNumbers;
  }
}

template <typename Method, auto kAwait>
void RouterService::SetUpStream(Method* method, const RouterServiceOptions& options) {
  using Response = typename Method::Response;
  method->await = kAwait;
  method->answer = [this](const ClientId& client, const typename Method::Request& request,
                          const LongNumbers& numbers, Response* response) {
    const absl::Status status =
        Answer(router_, client, request, response->mutable_response(), numbers);
    if (!status.ok()) SetStreamError(status, response);
  };
  method->take_numbers = &TakePromptNumbers;
  method->refuse = &SetStreamError<Response>;
  method->open = streams_;
  method->idle_name = "grpc.stream_idle_timeout";
  method->idle_timeout = options.stream_idle_timeout;
}

template <typename Place, typename Method>
void RouterService::ServeMethod(const Method& method, size_t limit, const EdgeParts& parts) {
  methods_.push_back(std::make_unique<CallPlaces>(limit, parts.loop));
  methods_.back()->Start([this, &method, &parts](CallPlaces* places) {
    return std::make_unique<Place>(method, this, places, parts);
  });
}

void RouterService::Serve(const EdgeParts& parts) {
  constexpr size_t kUnary = limits::kMaxCallsUnderWay;
  ServeMethod<UnaryPlace<decltype(route_)>>(route_, kUnary, parts);
  ServeMethod<UnaryPlace<decltype(score_)>>(score_, kUnary, parts);
  ServeMethod<UnaryPlace<decltype(complete_)>>(complete_, kUnary, parts);
  ServeMethod<UnaryPlace<decltype(explain_)>>(explain_, kUnary, parts);
  // One more than may be open: it takes and refuses what comes beyond them.
  ServeMethod<StreamPlace<decltype(route_stream_)>>(route_stream_, max_streams_ + 1, parts);
  ServeMethod<StreamPlace<decltype(score_stream_)>>(score_stream_, max_streams_ + 1, parts);
}

}  // namespace kvroute
