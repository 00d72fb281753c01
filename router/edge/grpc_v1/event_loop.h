#ifndef KVROUTE_ROUTER_EDGE_GRPC_V1_EVENT_LOOP_H_
#define KVROUTE_ROUTER_EDGE_GRPC_V1_EVENT_LOOP_H_

#include <grpcpp/completion_queue.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "indexer/base/named_thread.h"

namespace kvroute {

// What a completion queue hands back: one kind of event of one call. `ok` is gRPC's: false when
// what was asked for did not happen.
class CallEvent {
 public:
  virtual void Happened(bool ok) = 0;

 protected:
  ~CallEvent() = default;
};

// The event that calls a member function of its call.
template <typename Call, void (Call::*kOn)(bool)>
class EventOf final : public CallEvent {
 public:
  explicit EventOf(Call* call) : call_(call) {}
  void Happened(bool ok) override { (call_->*kOn)(ok); }

 private:
  Call* const call_;
};

// Serves the calls of one method, one after the other: waits for a call, answers it, waits for the
// next.
class CallPlace {
 public:
  virtual ~CallPlace() = default;
  virtual void Await() = 0;
};

// One completion queue and the one thread that serves it, each event to its end: a call never
// changes threads, and what serves it needs no lock. docs/decisions/0009 tells why it is one.
//
// Thread safety: construction, Start, End and destruction by one thread; all else on the loop's
// own, or before Start. Ownership: owns the places.
class EventLoop {
 public:
  explicit EventLoop(std::unique_ptr<grpc::ServerCompletionQueue> queue);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  grpc::ServerCompletionQueue* queue() { return queue_.get(); }

  // Makes a place and lets it await its first call; the server must be running.
  void Add(std::unique_ptr<CallPlace> place);
  // A place says that it will not await another call, because the server shuts down.
  void Ended();

  void Start();
  // To be called once the server shuts down: returns when every place has ended.
  void AwaitLastCall();
  // To be called after the server's shutdown: AwaitLastCall, then ends the thread. Idempotent.
  void End();

 private:
  void Run();

  const std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::vector<std::unique_ptr<CallPlace>> places_;
  std::atomic<size_t> not_ended_{0};  // places
  bool ended_ = false;
  NamedThread thread_;
};

// The places of one method. There is always one more than there are calls under way, so that one
// awaits the next call; but at most `limit`: calls beyond it wait in gRPC until another has ended.
//
// Thread safety: as EventLoop. Ownership: its places refer to it; it must outlive the loop.
class CallPlaces {
 public:
  using Make = std::function<std::unique_ptr<CallPlace>(CallPlaces*, EventLoop*)>;
  CallPlaces(size_t limit, Make make) : limit_(limit), make_(std::move(make)) {}

  void AddTo(EventLoop* loop) {
    ++places_;
    loop->Add(make_(this, loop));
  }
  // A place says that it awaits a call, or that it has got one.
  void Waits() { ++waiting_; }
  void Taken(EventLoop* loop) {
    if (--waiting_ == 0 && places_ < limit_) AddTo(loop);
  }

 private:
  const size_t limit_;
  const Make make_;
  size_t places_ = 0;
  size_t waiting_ = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_V1_EVENT_LOOP_H_
