#include "router/edge/grpc_base/event_loop.h"

#include <grpc/support/time.h>

#include <algorithm>

#include "router/edge/grpc_base/conduct.h"

namespace kvroute {
namespace {

// A busy queue never runs into its deadline: after so many events the clock is looked at.
constexpr uint32_t kEventsBetweenLooks = 16;

gpr_timespec GrpcNow() { return gpr_now(GPR_CLOCK_MONOTONIC); }
gpr_timespec NextTurn() {
  return gpr_time_add(GrpcNow(), gpr_time_from_millis(kTurn.count(), GPR_TIMESPAN));
}

}  // namespace

EventLoop::EventLoop(std::unique_ptr<grpc::ServerCompletionQueue> queue, std::string_view thread)
    : queue_(std::move(queue)),
      thread_name_(thread),
      progress_ns_(Clock::Real().Monotonic().count()),
      next_turn_(NextTurn()) {}

EventLoop::~EventLoop() {
  End();
  Run();  // a queue whose server could not start is drained by nobody else
}

void EventLoop::Add(std::unique_ptr<CallPlace> place) {
  ++not_ended_;
  place->index_ = places_.size();
  places_.push_back(std::move(place));
  places_.back()->Await();
}

void EventLoop::Ended() {
  if (--not_ended_ == 0) not_ended_.notify_all();
}

void EventLoop::Retire(CallPlace* place) {
  const size_t index = place->index_;
  retired_.push_back(std::move(places_[index]));
  if (index + 1 != places_.size()) {
    places_[index] = std::move(places_.back());
    places_[index]->index_ = index;
  }
  places_.pop_back();
  Ended();
}

void EventLoop::Start() {
  thread_ = NamedThread(thread_name_, [this] { Run(); });
}

Nanos EventLoop::SinceProgress() const {
  return Clock::Real().Monotonic() - Nanos(progress_ns_.load(std::memory_order_relaxed));
}

void EventLoop::AwaitLastCall() {
  for (size_t left = not_ended_; left != 0; left = not_ended_) not_ended_.wait(left);
}

void EventLoop::End() {
  {
    MutexLock lock(&mutex_);
    if (ended_) return;
  }
  AwaitLastCall();
  {
    MutexLock lock(&mutex_);
    ended_ = true;
    queue_->Shutdown();
  }
  thread_.Join();
}

void EventLoop::Run() {
  uint32_t events = 0;
  for (;;) {
    void* event = nullptr;
    bool ok = false;
    const auto status = queue_->AsyncNext(&event, &ok, next_turn_);
    if (status == grpc::CompletionQueue::SHUTDOWN) return;
    const bool happened = status == grpc::CompletionQueue::GOT_EVENT;
    if (happened) static_cast<CallEvent*>(event)->Happened(ok);
    retired_.clear();
    if (happened && ++events % kEventsBetweenLooks != 0) continue;
    if (!turn_stands_in_line_ && gpr_time_cmp(GrpcNow(), next_turn_) >= 0) AskForTurn();
  }
}

void EventLoop::AskForTurn() {
  MutexLock lock(&mutex_);
  next_turn_ = NextTurn();
  if (ended_) return;
  turn_stands_in_line_ = true;
  turn_.Set(queue_.get(), gpr_time_0(GPR_CLOCK_MONOTONIC), &on_turn_);
}

void EventLoop::OnTurn(bool) {
  turn_stands_in_line_ = false;
  next_turn_ = NextTurn();
  const bool stands =
      std::any_of(methods_.begin(), methods_.end(), [](auto* method) { return method->full(); });
  if (!stands) {
    progress_ns_.store(Clock::Real().Monotonic().count(), std::memory_order_relaxed);
  }
  for (size_t i = 0; i < places_.size(); ++i) places_[i]->Turn();
}

}  // namespace kvroute
