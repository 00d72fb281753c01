#ifndef KVROUTE_ROUTER_EDGE_GRPC_BASE_EVENT_LOOP_H_
#define KVROUTE_ROUTER_EDGE_GRPC_BASE_EVENT_LOOP_H_

#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "indexer/base/clock.h"
#include "indexer/base/mutex.h"
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
  // Every kTurn, once all that happened before it has been told: what lasts too long ends here.
  virtual void Turn() = 0;

 private:
  friend class EventLoop;
  size_t index_ = 0;  // among the loop's
};

class CallPlaces;

// One completion queue and the one thread that serves it: a call's events never change threads, and
// what serves them needs no lock. docs/decisions/0009 tells why it is one. No event waits for
// anything; what takes long is LongWork's.
//
// Thread safety: construction, Start, End and destruction by one thread; SinceProgress by any; all
// else on the loop's own, or before Start. Ownership: owns the places.
class EventLoop {
 public:
  // `thread` is its thread's name.
  EventLoop(std::unique_ptr<grpc::ServerCompletionQueue> queue, std::string_view thread);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  grpc::ServerCompletionQueue* queue() { return queue_.get(); }

  // Makes a place and lets it await its first call; the server must be running.
  void Add(std::unique_ptr<CallPlace> place);
  // As long as no place of a method is free, the loop makes no progress.
  void Watch(const CallPlaces* method) { methods_.push_back(method); }
  // A place says that it will not await another call, because the server shuts down.
  void Ended();
  // It never will; it is destroyed once the event that happens to it has been handled.
  void Retire(CallPlace* place);

  void Start();
  // How long it has taken no turn, or had a method whose calls all had to wait.
  Nanos SinceProgress() const;
  // To be called once the server shuts down: returns when every place has ended.
  void AwaitLastCall();
  // To be called after the server's shutdown: AwaitLastCall, then ends the thread. Idempotent.
  void End();

 private:
  void Run();
  void AskForTurn();
  void OnTurn(bool);

  const std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  const std::string thread_name_;
  std::vector<std::unique_ptr<CallPlace>> places_, retired_;
  std::vector<const CallPlaces*> methods_;
  std::atomic<size_t> not_ended_{0};  // places
  std::atomic<int64_t> progress_ns_{0};
  // A turn stands in line behind what has happened already: a loop that is behind would take
  // answers that have left for such that do not leave.
  EventOf<EventLoop, &EventLoop::OnTurn> on_turn_{this};
  grpc::Alarm turn_;
  bool turn_stands_in_line_ = false;
  gpr_timespec next_turn_;
  Mutex mutex_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;  // nothing may be put into the queue any more
  NamedThread thread_;
};

// The places of one method. There is always one more than there are calls under way, so that one
// awaits the next call; but at most `limit`: calls beyond it wait in gRPC until another has ended.
// What a flood of calls has needed goes again.
//
// Thread safety: as EventLoop. Ownership: its places refer to it; it must outlive the loop.
class CallPlaces {
 public:
  using Make = std::function<std::unique_ptr<CallPlace>(CallPlaces*)>;
  CallPlaces(size_t limit, EventLoop* loop) : limit_(limit), loop_(loop) {}

  void Start(Make make) {
    make_ = std::move(make);
    loop_->Watch(this);
    AddOne();
  }
  // A place says that it awaits a call, or that it has got one.
  void Waits() { ++waiting_; }
  void Taken() {
    if (--waiting_ == 0 && places_ < limit_) AddOne();
  }
  // A place has served its call. False: it awaits the next one. True: enough others do, and it is
  // gone soon.
  bool Retires(CallPlace* place) {
    if (waiting_ < kMaxWaiting) return false;
    --places_;
    loop_->Retire(place);
    return true;
  }
  // Calls have to wait: all places are taken.
  bool full() const { return waiting_ == 0; }

 private:
  static constexpr size_t kMaxWaiting = 32;

  void AddOne() {
    ++places_;
    loop_->Add(make_(this));
  }

  const size_t limit_;
  EventLoop* const loop_;
  Make make_;
  size_t places_ = 0;
  size_t waiting_ = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_BASE_EVENT_LOOP_H_
