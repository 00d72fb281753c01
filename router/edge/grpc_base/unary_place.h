#ifndef KVROUTE_ROUTER_EDGE_GRPC_BASE_UNARY_PLACE_H_
#define KVROUTE_ROUTER_EDGE_GRPC_BASE_UNARY_PLACE_H_

#include <grpcpp/support/async_unary_call.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "indexer/base/api_limits.h"
#include "indexer/base/error.h"
#include "router/edge/grpc_base/grpc_status.h"
#include "router/edge/grpc_base/served_call.h"

namespace kvroute {

// One unary method. Its requests are received as bytes, so that the event loop can tell long ones
// from short ones before anything is done with them.
template <typename ServiceType, typename RequestType, typename ResponseType>
struct UnaryMethod {
  using Service = ServiceType;
  using Request = RequestType;
  using Response = ResponseType;
  // The service's Request<Name>, which asks gRPC for a call.
  void (Service::*await)(grpc::ServerContext*, grpc::ByteBuffer*,
                         grpc::ServerAsyncResponseWriter<grpc::ByteBuffer>*, grpc::CompletionQueue*,
                         grpc::ServerCompletionQueue*, void*);
  std::function<absl::Status(const ClientId&, const Request&, const LongNumbers&, Response*)>
      answer;
  // Takes what is many out of a long request's bytes, before it is parsed; may be empty.
  absl::Status (*take_numbers)(grpc::ByteBuffer*, LongNumbers*) = nullptr;
  // What an answer must be told by when it could not be sent; both may be empty.
  std::function<std::string(const Response&)> name_of;
  std::function<void(const std::string&)> undelivered;
  // About what an answer takes while it is made, where that may be much; may be empty.
  std::function<size_t()> answer_bytes;
  std::optional<RpcMethod> counted_as;
  bool takes_long = false;  // whatever is asked
};

// Thread safety: as EventLoop, but Run, on a thread of LongWork: nothing else but Turn touches the
// place meanwhile.
template <typename Method>
class UnaryPlace final : public CallPlace, public LongTask {
 public:
  using Service = typename Method::Service;
  UnaryPlace(const Method& method, Service* service, CallPlaces* places, const EdgeParts& parts)
      : method_(method), service_(service), places_(places), parts_(parts), call_(parts) {}

  void Await() override {
    places_->Waits();
    bytes_.Clear();
    responder_.reset();
    context_.emplace();
    responder_.emplace(&*context_);
    grpc::ServerCompletionQueue* queue = parts_.loop->queue();
    (service_->*method_.await)(&*context_, &bytes_, &*responder_, queue, queue, &on_call_);
  }
  void Turn() override { call_.Turn(*places_, &*context_); }
  void Run() override {
    Work();
    worked_.Tell();
  }

 private:
  void OnCall(bool ok) {
    if (!ok) return parts_.loop->Ended();
    places_->Taken();
    call_.Take(&*context_);
    call_.Received(bytes_.Length());
    if (method_.takes_long || IsLong(bytes_)) {
      // Once it is added its thread writes status_.
      absl::Status added = parts_.long_work->Add(call_.client().connection, bytes_.Length(), this,
                                                 method_.answer_bytes ? method_.answer_bytes() : 0);
      if (added.ok()) return;
      status_ = std::move(added);
      Count();
    } else {
      Work();
    }
    Send();
  }
  void OnWorked(bool) {
    worked_.Hear();
    Send();
  }

  // Makes status_ and, when that is good, the bytes of the answer.
  void Work() {
    answer_name_.clear();
    if (IsTooLate(*context_)) {  // while it waited: nobody wants the answer any more
      status_ = absl::DeadlineExceededError("the deadline passed before the call was executed");
      return Count();
    }
    auto& messages = CallMessages<typename Method::Request, typename Method::Response>::OfThread();
    status_ = messages.Read(method_.take_numbers, parts_.requests, &bytes_);
    if (!status_.ok()) {
      Count();
    } else {
      status_ =
          method_.answer(call_.client(), *messages.request, messages.numbers, messages.response);
      if (status_.ok()) messages.Serialize(&bytes_);
      if (status_.ok() && method_.name_of) answer_name_ = method_.name_of(*messages.response);
    }
    messages.Clear();
  }
  // Of a call that `answer`, which counts itself, was not asked about.
  void Count() {
    if (method_.counted_as) parts_.stats->CountRequest(*method_.counted_as, status_.code());
  }
  void Send() {
    if (status_.ok()) status_ = AdmitAnswer();
    if (!status_.ok()) bytes_.Clear();
    call_.Sends();
    if (status_.ok()) {
      responder_->Finish(bytes_, grpc::Status::OK, &on_finish_);
    } else {
      responder_->FinishWithError(ToGrpc(status_), &on_finish_);
    }
  }
  absl::Status AdmitAnswer() {
    absl::Status admitted = call_.AdmitAnswer(bytes_.Length());
    if (!admitted.ok() && method_.undelivered) method_.undelivered(answer_name_);
    return admitted;
  }
  void OnFinish(bool ok) {
    const bool told = ok && !IsTooLate(*context_, limits::kMinTimeToTake);
    if (!told && status_.ok() && method_.undelivered) method_.undelivered(answer_name_);
    call_.Sent();
    call_.Give();
    if (!places_->Retires(this)) Await();
  }

  const Method& method_;
  Service* const service_;
  CallPlaces* const places_;
  const EdgeParts& parts_;
  ServedCall call_;
  absl::Status status_;
  EventOf<UnaryPlace, &UnaryPlace::OnCall> on_call_{this};
  EventOf<UnaryPlace, &UnaryPlace::OnFinish> on_finish_{this};
  EventOf<UnaryPlace, &UnaryPlace::OnWorked> on_worked_{this};
  Worked worked_{parts_.loop, &on_worked_};
  std::string answer_name_;
  grpc::ByteBuffer bytes_;
  std::optional<grpc::ServerContext> context_;
  std::optional<grpc::ServerAsyncResponseWriter<grpc::ByteBuffer>> responder_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_BASE_UNARY_PLACE_H_
