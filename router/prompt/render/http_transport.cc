#include "router/prompt/render/http_transport.h"

#include <algorithm>
#include <utility>

namespace kvroute {
namespace {

RenderFailure FailureOf(HttpEnd end) {
  switch (end) {
    case HttpEnd::kReply:
      return RenderFailure::kNo;
    case HttpEnd::kProtocol:
      return RenderFailure::kBadReply;
    case HttpEnd::kTooLong:
      return RenderFailure::kTooLarge;
    case HttpEnd::kDeadline:
    case HttpEnd::kIdle:
      return RenderFailure::kDeadline;
    case HttpEnd::kBusy:
      return RenderFailure::kBusy;
    default:
      return RenderFailure::kUnreachable;
  }
}

}  // namespace

uint64_t HttpTransport::Send(Call call, std::function<void(Reply)> done) {
  HttpRequest request;
  request.method = "POST";
  request.url = std::move(call.url);
  // Without the empty Expect, libcurl waits for leave to send a body of more than 1 MiB.
  request.headers = {"Content-Type: application/json", "Accept: application/json", "Expect:"};
  request.body = std::move(call.json);
  request.deadline = call.deadline;
  request.connect_timeout = std::min(request.connect_timeout, call.deadline);
  request.max_reply_bytes = call.max_reply_bytes;
  if (call.named_by_client) request.networks = client_networks_;
  return client_
      ->Send(std::move(request),
             [done = std::move(done)](HttpReply reply) {
               done({.failure = FailureOf(reply.end),
                     .status = reply.status,
                     .body = std::move(reply.body),
                     .detail = std::move(reply.message)});
             })
      .value();
}

void HttpTransport::Cancel(uint64_t id) { client_->Cancel(HttpTransferId(id)); }
void HttpTransport::Run(std::function<void()> work) { client_->Run(std::move(work)); }
void HttpTransport::RunAfter(Nanos delay, std::function<void()> work) {
  client_->RunAfter(delay, std::move(work));
}

}  // namespace kvroute
