#ifndef KVROUTE_ROUTER_EDGE_GRPC_BASE_SERVED_CALL_H_
#define KVROUTE_ROUTER_EDGE_GRPC_BASE_SERVED_CALL_H_

#include <google/protobuf/arena.h>
#include <grpc/grpc.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <grpcpp/alarm.h>
#include <grpcpp/impl/serialization_traits.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <grpcpp/support/proto_buffer_writer.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "indexer/base/check.h"
#include "indexer/base/error.h"
#include "indexer/base/error_reason.h"
#include "indexer/base/limits.h"
#include "indexer/base/memory_budget.h"
#include "router/edge/grpc_base/connections.h"
#include "router/edge/grpc_base/event_loop.h"
#include "router/edge/grpc_base/long_work.h"
#include "router/edge/grpc_base/request_bytes.h"
#include "router/route/routing_stats.h"

// What every kind of place has in common.
namespace kvroute {

// What every place needs.
struct EdgeParts {
  EventLoop* loop;
  LongWork* long_work;
  Connections* connections;
  RoutingStats* stats;
  std::chrono::milliseconds write_timeout;
  // Of long requests while they are read and answered, and of long answers until they have left.
  MemoryBudget* requests = nullptr;
  MemoryBudget* answers = nullptr;
};

inline bool IsLong(const grpc::ByteBuffer& request) {
  return request.Length() > limits::kMaxShortMessageBytes;
}

// The messages of one call at a time, in memory of the thread's that is used again: messages of up
// to kKeptBytes together allocate nothing but their strings of more than 15 bytes. A call has them
// only while it is answered, and not while its answer is on its way, which may be long.
template <typename Request, typename Response>
class CallMessages {
 public:
  static CallMessages& OfThread() {
    thread_local CallMessages messages;
    return messages;
  }
  CallMessages() : arena_(Options(&kept_)) { Clear(); }
  CallMessages(const CallMessages&) = delete;
  CallMessages& operator=(const CallMessages&) = delete;

  void Clear() {
    arena_.Reset();
    numbers.Clear();
    memory_.reset();
    request = google::protobuf::Arena::CreateMessage<Request>(&arena_);
    response = google::protobuf::Arena::CreateMessage<Response>(&arena_);
  }
  // Takes the request out of its bytes, which are freed. What a long one takes beyond what LongWork
  // took for it is taken out of `memory` (may be null).
  //
  // Errors: INVALID_ARGUMENT: it is none, or what `take_numbers` says; RESOURCE_EXHAUSTED: it would
  // be more memory than there is.
  absl::Status Read(absl::Status (*take_numbers)(grpc::ByteBuffer*, LongNumbers*),
                    MemoryBudget* memory, grpc::ByteBuffer* bytes) {
    if (IsLong(*bytes)) {
      if (take_numbers != nullptr) KVROUTE_RETURN_IF_ERROR(take_numbers(bytes, &numbers));
      memory_.emplace(memory, MemoryBudget::kUnlimited);
      KVROUTE_RETURN_IF_ERROR(TakeParsedBytes(Request::descriptor(), *bytes, &*memory_));
    }
    if (grpc::SerializationTraits<Request>::Deserialize(bytes, request).ok()) {
      return absl::OkStatus();
    }
    return WithReason(absl::InvalidArgumentError("the request is not a message of this method"),
                      ErrorReason::kMalformedRequest);
  }

  void Serialize(grpc::ByteBuffer* bytes) const {
    bool own = false;
    KVROUTE_CHECK(grpc::SerializationTraits<Response>::Serialize(*response, bytes, &own).ok());
  }

  Request* request = nullptr;
  Response* response = nullptr;
  LongNumbers numbers;  // of the request, which has them no longer

 private:
  static constexpr size_t kKeptBytes = 16'384;
  using Kept = std::array<char, kKeptBytes>;
  static google::protobuf::ArenaOptions Options(Kept* kept) {
    google::protobuf::ArenaOptions options;
    options.initial_block = kept->data();
    options.initial_block_size = kept->size();
    return options;
  }

  std::optional<MemoryShare> memory_;
  alignas(std::max_align_t) Kept kept_;
  google::protobuf::Arena arena_;
};

// How a thread of LongWork tells the event loop that it is done with a call: by an event like any
// other. What the thread wrote before Tell is seen after Hear.
class Worked {
 public:
  Worked(EventLoop* loop, CallEvent* event) : loop_(loop), event_(event) {}
  void Tell() {
    done_.store(true, std::memory_order_release);
    alarm_.Set(loop_->queue(), gpr_time_0(GPR_CLOCK_MONOTONIC), event_);
  }
  void Hear() { KVROUTE_CHECK(done_.exchange(false, std::memory_order_acquire)); }

 private:
  EventLoop* const loop_;
  CallEvent* const event_;
  std::atomic<bool> done_{false};
  grpc::Alarm alarm_;
};

// The connection of the call that a place serves, and how long its answer has been on its way.
//
// Thread safety: as EventLoop.
class ServedCall {
 public:
  explicit ServedCall(const EdgeParts& parts) : parts_(parts) {}

  void Take(grpc::ServerContext* context) {
    // As ServerContext::peer(), which copies it once more.
    const std::unique_ptr<char, decltype(&gpr_free)> peer(grpc_call_get_peer(context->c_call()),
                                                          &gpr_free);
    connection_ = parts_.connections->Find(peer.get());
    if (connection_ == nullptr) return;  // it is closed already: nobody will get the answer
    connection_->calls.fetch_add(1, std::memory_order_relaxed);
    connection_->has_called.store(true, std::memory_order_relaxed);
  }
  Connection* connection() const { return connection_.get(); }
  ClientId client() const { return connection_ == nullptr ? ClientId{} : connection_->client(); }

  // A request is there, whole.
  void Received(size_t bytes) {
    if (connection_ == nullptr) return;
    connection_->message_bytes.fetch_add(bytes, std::memory_order_relaxed);
    connection_->messages.fetch_add(1, std::memory_order_relaxed);
  }
  // Whether an answer of so many bytes may be given to gRPC, where it lies until its client takes
  // it. RESOURCE_EXHAUSTED: clients have too much to take already, or this one has.
  absl::Status AdmitAnswer(size_t bytes) {
    if (parts_.answers == nullptr) return absl::OkStatus();
    const size_t unsent =
        connection_ == nullptr ? 0 : connection_->unsent_bytes.load(std::memory_order_relaxed);
    const bool has_share = unsent == 0 || unsent + bytes <= parts_.answers->limit() / 4;
    if (bytes <= kShortAnswerBytes) {
      parts_.answers->Charge(static_cast<int64_t>(bytes));
    } else if (!has_share || !parts_.answers->TryTake(bytes)) {
      return Error(absl::StatusCode::kResourceExhausted,
                   "memory.limit: an answer of {} bytes; clients have {} to take, this one {}; the "
                   "limits are {} and a quarter of it",
                   bytes, parts_.answers->used(), unsent, parts_.answers->limit());
    }
    answer_bytes_ = bytes;
    if (connection_ != nullptr) connection_->unsent_bytes.fetch_add(bytes);
    return absl::OkStatus();
  }
  void AnswerLeft() {
    if (answer_bytes_ == 0) return;
    parts_.answers->GiveBack(answer_bytes_);
    if (connection_ != nullptr) connection_->unsent_bytes.fetch_sub(answer_bytes_);
    answer_bytes_ = 0;
  }
  // The answer is given to gRPC, or has left or failed to.
  void Sends() {
    if (connection_ != nullptr) connection_->unsent.fetch_add(1, std::memory_order_relaxed);
    sends_ = true;
  }
  void Sent() {
    AnswerLeft();
    if (connection_ != nullptr) connection_->unsent.fetch_sub(1, std::memory_order_relaxed);
    sends_ = false;
    unsent_turns_ = 0;
  }
  void Give() {
    if (connection_ != nullptr) connection_->calls.fetch_sub(1, std::memory_order_relaxed);
    connection_.reset();
  }

  // Cuts the connection off when it does not take the answer: after grpc.write_timeout, or soon
  // when others have to wait for its places or it keeps very many answers waiting.
  void Turn(const CallPlaces& places, grpc::ServerContext* context) {
    if (!sends_) return;
    const bool little_room =
        parts_.answers != nullptr && parts_.answers->used() > parts_.answers->limit() / 2;
    const bool soon =
        places.full() || little_room ||
        (connection_ != nullptr &&
         connection_->unsent.load(std::memory_order_relaxed) > limits::kMaxUnsentPerConnection);
    if (++unsent_turns_ * kTurn < (soon ? kSoon : parts_.write_timeout)) return;
    if (connection_ == nullptr) return context->TryCancel();
    parts_.connections->Cut(connection_.get(), ConnectionEnd::kUnreadAnswers);
  }

 private:
  static constexpr std::chrono::milliseconds kSoon{300};
  static constexpr size_t kShortAnswerBytes = 16'384;  // never refused
  const EdgeParts& parts_;
  std::shared_ptr<Connection> connection_;
  size_t answer_bytes_ = 0;  // counted, and not sent yet
  bool sends_ = false;
  uint32_t unsent_turns_ = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_BASE_SERVED_CALL_H_
