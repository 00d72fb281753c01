#ifndef KVROUTE_ROUTER_EDGE_GRPC_V1_STREAM_PLACE_H_
#define KVROUTE_ROUTER_EDGE_GRPC_V1_STREAM_PLACE_H_

#include <grpc/grpc.h>
#include <grpcpp/support/async_stream.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "router/edge/grpc_base/grpc_status.h"
#include "router/edge/grpc_base/served_call.h"
#include "router/edge/grpc_base/stream_exchange.h"
#include "router/edge/grpc_v1/rpc_streams.h"

namespace kvroute {

// One method of two streams, one answer a request.
template <typename ServiceType, typename RequestType, typename ResponseType>
struct StreamMethod {
  using Service = ServiceType;
  using Request = RequestType;
  using Response = ResponseType;
  using Stream = grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>;
  // The service's Request<Name>, which asks gRPC for a call.
  void (Service::*await)(grpc::ServerContext*, Stream*, grpc::CompletionQueue*,
                         grpc::ServerCompletionQueue*, void*);
  std::function<void(const ClientId&, const Request&, const LongNumbers&, Response*)> answer;
  // As UnaryMethod's.
  absl::Status (*take_numbers)(grpc::ByteBuffer*, LongNumbers*) = nullptr;
  // What is answered when a request cannot be read or must not wait.
  std::function<void(const absl::Status&, Response*)> refuse;
  // As UnaryMethod's.
  std::function<std::string(const Response&)> name_of;
  std::function<void(const std::string&)> undelivered;
  // Of a stream that has ended, by its ClientId's number; may be empty.
  std::function<void(uint64_t)> ended;
  RpcStreams* open;
  std::string_view idle_name;  // of the limit
  std::chrono::milliseconds idle_timeout{0};
};

inline uint64_t NextStreamNumber() {
  static std::atomic<uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

// Serves RPC streams: each request is answered in order. The next request is read when the answer
// before it is handed to gRPC, never earlier: from a client that does not read its answers, no more
// requests are read.
//
// Thread safety: as UnaryPlace.
template <typename Method>
class StreamPlace final : public CallPlace, public LongTask, public RpcStream {
 public:
  using Service = typename Method::Service;
  StreamPlace(const Method& method, Service* service, CallPlaces* places, const EdgeParts& parts)
      : method_(method), service_(service), places_(places), parts_(parts), call_(parts) {}

  void Await() override {
    places_->Waits();
    exchange_.reset();
    stream_.reset();
    context_.emplace();
    stream_.emplace(&*context_);
    grpc::ServerCompletionQueue* queue = parts_.loop->queue();
    (service_->*method_.await)(&*context_, &*stream_, queue, queue, &on_call_);
  }
  void Turn() override {
    call_.Turn(*places_, &*context_);
    if (!waits_) return;
    if (++idle_turns_ * kTurn < method_.idle_timeout) return;
    method_.open->End(this, std::string(method_.idle_name) + ": no request for so long");
  }
  void Run() override {
    Answer();
    worked_.Tell();
  }

  Connection* connection() const override { return call_.connection(); }
  uint32_t idle_turns() const override { return waits_ ? idle_turns_ + 1 : 0; }
  void End(const std::string& message) override {
    waits_ = false;
    grpc_call_cancel_with_status(context_->c_call(), GRPC_STATUS_RESOURCE_EXHAUSTED,
                                 message.c_str(), nullptr);
  }

 private:
  using Messages = CallMessages<typename Method::Request, typename Method::Response>;

  void OnCall(bool ok) {
    if (!ok) return parts_.loop->Ended();
    places_->Taken();
    call_.Take(&*context_);
    number_ = NextStreamNumber();
    const absl::Status admitted = method_.open->Admit(this);
    if (!admitted.ok()) return Finish(ToGrpc(admitted));
    stream_->SendInitialMetadata(&on_open_);
  }
  void OnOpen(bool) {  // if it failed, the read will fail, too
    exchange_.emplace(&*context_, parts_.loop->queue());
    Read();
  }
  void Read() {
    bytes_.Clear();
    waits_ = true;
    exchange_->Read(&bytes_, &on_read_);
  }
  void OnRead(bool ok) {
    waits_ = false;
    idle_turns_ = 0;
    call_.AnswerLeft();
    const std::string answer = std::exchange(answer_name_, {});
    if (!exchange_->sent() && !answer.empty()) method_.undelivered(answer);
    if (ok) call_.Received(bytes_.Length());
    if (!ok) return Finish(grpc::Status::OK);  // half-closed, cancelled or past its deadline
    if (IsLong(bytes_)) {
      const absl::Status added =
          parts_.long_work->Add(call_.client().connection, bytes_.Length(), this);
      if (added.ok()) return;
      Refuse(added);
    } else {
      Answer();
    }
    Read();
  }
  void OnWorked(bool) {
    worked_.Hear();
    Read();
  }
  // Each writes an answer, which leaves with the next Read.
  void Answer() {
    auto& messages = Messages::OfThread();
    const absl::Status read = messages.Read(method_.take_numbers, parts_.requests, &bytes_);
    if (!read.ok()) return Refuse(read);
    ClientId client = call_.client();
    client.stream = number_;
    method_.answer(client, *messages.request, messages.numbers, messages.response);
    const absl::Status admitted = call_.AdmitAnswer(messages.response->ByteSizeLong());
    if (!admitted.ok()) {
      if (method_.name_of) method_.undelivered(method_.name_of(*messages.response));
      return Refuse(admitted);
    }
    if (method_.name_of) answer_name_ = method_.name_of(*messages.response);
    Write(&messages);
  }
  void Refuse(const absl::Status& status) {
    auto& messages = Messages::OfThread();
    messages.Clear();
    method_.refuse(status, messages.response);
    Write(&messages);
  }
  void Write(Messages* messages) {
    exchange_->Write(*messages->response);
    messages->Clear();
  }
  void Finish(const grpc::Status& status) {
    call_.Sends();
    stream_->Finish(status, &on_finish_);
  }
  void OnFinish(bool) {
    method_.open->Remove(this);
    if (method_.ended) method_.ended(number_);
    call_.AnswerLeft();
    call_.Sent();
    call_.Give();
    if (!places_->Retires(this)) Await();
  }

  const Method& method_;
  Service* const service_;
  CallPlaces* const places_;
  const EdgeParts& parts_;
  ServedCall call_;
  bool waits_ = false;  // for a request, or for its client to take the answer
  uint32_t idle_turns_ = 0;
  uint64_t number_ = 0;  // of the stream; never used twice in the process
  EventOf<StreamPlace, &StreamPlace::OnCall> on_call_{this};
  EventOf<StreamPlace, &StreamPlace::OnOpen> on_open_{this};
  EventOf<StreamPlace, &StreamPlace::OnRead> on_read_{this};
  EventOf<StreamPlace, &StreamPlace::OnFinish> on_finish_{this};
  EventOf<StreamPlace, &StreamPlace::OnWorked> on_worked_{this};
  Worked worked_{parts_.loop, &on_worked_};
  std::string answer_name_;
  grpc::ByteBuffer bytes_;
  std::optional<grpc::ServerContext> context_;
  std::optional<typename Method::Stream> stream_;
  std::optional<StreamExchange> exchange_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_V1_STREAM_PLACE_H_
