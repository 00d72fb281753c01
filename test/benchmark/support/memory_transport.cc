#include "test/benchmark/support/memory_transport.h"

#include <utility>

namespace kvroute {

MemoryTransport::MemoryTransport() : thread_("renderers", [this] { Serve(); }) {}

MemoryTransport::~MemoryTransport() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
    changed_.NotifyAll();
  }
  thread_.Join();
}

void MemoryTransport::AddAnswer(std::string marker, std::string json) {
  answers_[std::move(marker)] = std::move(json);
}

// A marker is "prompt N of M", and lies near the beginning.
RenderTransport::Reply MemoryTransport::Answer(std::string_view json) const {
  const size_t begin = json.find("prompt ");
  const size_t end = begin == std::string_view::npos ? begin : json.find(':', begin);
  if (end == std::string_view::npos) return {.status = 400, .body = "{}"};
  const auto found = answers_.find(json.substr(begin, end - begin));
  if (found == answers_.end()) return {.status = 400, .body = "{}"};
  return {.status = 200, .body = found->second};
}

uint64_t MemoryTransport::Send(Call call, std::function<void(Reply)> done) {
  Run([this, json = std::move(call.json), done = std::move(done)] { done(Answer(json)); });
  return 1;
}

void MemoryTransport::Run(std::function<void()> work) {
  MutexLock lock(&mutex_);
  works_.push_back(std::move(work));
  changed_.NotifyOne();
}

void MemoryTransport::Serve() {
  for (;;) {
    std::function<void()> work;
    {
      MutexLock lock(&mutex_);
      while (works_.empty() && !ending_) changed_.Wait(&mutex_);
      if (works_.empty()) return;
      work = std::move(works_.front());
      works_.pop_front();
    }
    work();
  }
}

}  // namespace kvroute
