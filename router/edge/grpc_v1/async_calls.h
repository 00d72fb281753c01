#ifndef KVROUTE_ROUTER_EDGE_GRPC_V1_ASYNC_CALLS_H_
#define KVROUTE_ROUTER_EDGE_GRPC_V1_ASYNC_CALLS_H_

#include <google/protobuf/arena.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/async_unary_call.h>

#include <array>
#include <cstddef>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "indexer/base/error.h"
#include "router/edge/grpc_v1/answers.h"
#include "router/edge/grpc_v1/event_loop.h"
#include "router/edge/grpc_v1/grpc_status.h"
#include "router/edge/grpc_v1/stream_exchange.h"
#include "router/route/router.h"
#include "router/route/routing_stats.h"

// How methods are served on an event loop. Thread safety: as EventLoop.
namespace kvroute {

// One asynchronous method: kAwait is the service's Request<Name>, which asks gRPC for a call of it;
// Answer of answers.h serves it. A stream's Response has the answer in its `response`.
template <typename RequestType, typename ResponseType, auto kAwaitMember, RpcMethod kMethod>
struct AsyncMethod {
  using Request = RequestType;
  using Response = ResponseType;
  static constexpr auto kAwait = kAwaitMember;
  static constexpr RpcMethod kCountedAs = kMethod;
};

// What every place of a service needs.
template <typename Service>
struct PlaceParts {
  Service* service;
  Router* router;
  RoutingStats* stats;
  CallPlaces* places;
  EventLoop* loop;
};

// The messages of one call at a time, in memory that is used again: messages of up to kKeptBytes
// together allocate nothing but their strings of more than 15 bytes.
template <typename Request, typename Response>
class CallMessages {
 public:
  CallMessages() : arena_(Options(&kept_)) { Clear(); }
  void Clear() {
    arena_.Reset();
    request = google::protobuf::Arena::CreateMessage<Request>(&arena_);
    response = google::protobuf::Arena::CreateMessage<Response>(&arena_);
  }

  Request* request = nullptr;
  Response* response = nullptr;

 private:
  static constexpr size_t kKeptBytes = 16'384;
  using Kept = std::array<char, kKeptBytes>;
  static google::protobuf::ArenaOptions Options(Kept* kept) {
    google::protobuf::ArenaOptions options;
    options.initial_block = kept->data();
    options.initial_block_size = kept->size();
    return options;
  }

  alignas(std::max_align_t) Kept kept_;
  google::protobuf::Arena arena_;
};

template <typename Service, typename Method>
class UnaryPlace final : public CallPlace {
 public:
  using Response = typename Method::Response;
  explicit UnaryPlace(const PlaceParts<Service>& parts) : parts_(parts) {}

  void Await() override {
    parts_.places->Waits();
    messages_.Clear();
    responder_.reset();
    context_.emplace();
    responder_.emplace(&*context_);
    grpc::ServerCompletionQueue* queue = parts_.loop->queue();
    (parts_.service->*Method::kAwait)(&*context_, messages_.request, &*responder_, queue, queue,
                                      &on_call_);
  }

 private:
  void OnCall(bool ok) {
    if (!ok) return parts_.loop->Ended();
    parts_.places->Taken(parts_.loop);
    const grpc::Status status = AnswerInTime(*context_, Method::kCountedAs, parts_.stats, [this] {
      return Answer(parts_.router, *messages_.request, messages_.response);
    });
    if (status.ok()) {
      responder_->Finish(*messages_.response, status, &on_finish_);
    } else {
      responder_->FinishWithError(status, &on_finish_);
    }
  }
  void OnFinish(bool) { Await(); }

  const PlaceParts<Service> parts_;
  EventOf<UnaryPlace, &UnaryPlace::OnCall> on_call_{this};
  EventOf<UnaryPlace, &UnaryPlace::OnFinish> on_finish_{this};
  CallMessages<typename Method::Request, Response> messages_;
  std::optional<grpc::ServerContext> context_;
  std::optional<grpc::ServerAsyncResponseWriter<Response>> responder_;
};

// Leave for one RPC stream to be open, of as many as may be open at a time.
class StreamPermit {
 public:
  StreamPermit(RoutingStats* stats, uint32_t limit) : stats_(stats), limit_(limit) {}

  bool Take() {
    taken_ = stats_->open_rpc_streams.fetch_add(1, std::memory_order_relaxed) < limit_;
    if (taken_) return true;
    stats_->open_rpc_streams.fetch_sub(1, std::memory_order_relaxed);
    stats_->refused_rpc_streams.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  void Give() {
    if (taken_) stats_->open_rpc_streams.fetch_sub(1, std::memory_order_relaxed);
    taken_ = false;
  }
  uint32_t limit() const { return limit_; }

 private:
  RoutingStats* const stats_;
  const uint32_t limit_;
  bool taken_ = false;
};

// Serves RPC streams: each request is answered in order, a bad one with `error` set. The next
// request is read when the answer before it is handed to gRPC, never earlier: from a client that
// does not read its answers, no more requests are read.
template <typename Service, typename Method>
class StreamPlace final : public CallPlace {
 public:
  using Request = typename Method::Request;
  using Response = typename Method::Response;
  StreamPlace(const PlaceParts<Service>& parts, uint32_t max_rpc_streams)
      : parts_(parts), permit_(parts.stats, max_rpc_streams) {}

  void Await() override {
    parts_.places->Waits();
    exchange_.reset();
    stream_.reset();
    context_.emplace();
    stream_.emplace(&*context_);
    grpc::ServerCompletionQueue* queue = parts_.loop->queue();
    (parts_.service->*Method::kAwait)(&*context_, &*stream_, queue, queue, &on_call_);
  }

 private:
  void OnCall(bool ok) {
    if (!ok) return parts_.loop->Ended();
    parts_.places->Taken(parts_.loop);
    if (permit_.Take()) return stream_->SendInitialMetadata(&on_open_);
    Finish(ToGrpc(Error(absl::StatusCode::kResourceExhausted,
                        "grpc.max_streams: {} are open already", permit_.limit())));
  }
  void OnOpen(bool) {  // if it failed, the read will fail, too
    exchange_.emplace(&*context_, parts_.loop->queue());
    Read();
  }
  void Read() {
    messages_.Clear();
    exchange_->Read(messages_.request, &on_read_);
  }
  void OnRead(bool ok) {
    if (!ok) return Finish(grpc::Status::OK);  // half-closed, cancelled or past its deadline
    const absl::Status status =
        Answer(parts_.router, *messages_.request, messages_.response->mutable_response());
    if (!status.ok()) {
      v1::StreamError* error = messages_.response->mutable_error();
      error->set_code(static_cast<int>(status.code()));
      error->set_message(std::string(status.message()));
    }
    exchange_->Write(*messages_.response);
    Read();
  }
  void Finish(const grpc::Status& status) { stream_->Finish(status, &on_finish_); }
  void OnFinish(bool) {
    permit_.Give();
    Await();
  }

  const PlaceParts<Service> parts_;
  StreamPermit permit_;
  EventOf<StreamPlace, &StreamPlace::OnCall> on_call_{this};
  EventOf<StreamPlace, &StreamPlace::OnOpen> on_open_{this};
  EventOf<StreamPlace, &StreamPlace::OnRead> on_read_{this};
  EventOf<StreamPlace, &StreamPlace::OnFinish> on_finish_{this};
  CallMessages<Request, Response> messages_;
  std::optional<grpc::ServerContext> context_;
  std::optional<grpc::ServerAsyncReaderWriter<Response, Request>> stream_;
  std::optional<StreamExchange<Request>> exchange_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_V1_ASYNC_CALLS_H_
