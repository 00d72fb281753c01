#include "router/edge/grpc_v1/event_loop.h"

namespace kvroute {

EventLoop::EventLoop(std::unique_ptr<grpc::ServerCompletionQueue> queue)
    : queue_(std::move(queue)) {}

EventLoop::~EventLoop() {
  End();
  Run();  // a queue whose server could not start is drained by nobody else
}

void EventLoop::Add(std::unique_ptr<CallPlace> place) {
  ++not_ended_;
  places_.push_back(std::move(place));
  places_.back()->Await();
}

void EventLoop::Ended() {
  if (--not_ended_ == 0) not_ended_.notify_all();
}

void EventLoop::Start() {
  thread_ = NamedThread("grpc-queries", [this] { Run(); });
}

void EventLoop::AwaitLastCall() {
  for (size_t left = not_ended_; left != 0; left = not_ended_) not_ended_.wait(left);
}

void EventLoop::End() {
  if (ended_) return;
  ended_ = true;
  AwaitLastCall();
  queue_->Shutdown();
  thread_.Join();
}

void EventLoop::Run() {
  void* event = nullptr;
  bool ok = false;
  while (queue_->Next(&event, &ok)) static_cast<CallEvent*>(event)->Happened(ok);
}

}  // namespace kvroute
