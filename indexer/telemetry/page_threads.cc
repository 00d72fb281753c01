#include "indexer/telemetry/page_threads.h"

#include <utility>

namespace kvroute {

PageThreads::PageThreads(int threads) {
  for (int i = 0; i < threads; ++i) {
    ThreadPulse* const pulse = &pulses_.emplace_back();
    threads_.emplace_back("http-page", [this, pulse] { Work(pulse); });
  }
}

bool PageThreads::Run(std::function<void()> page) {
  {
    MutexLock lock(&mutex_);
    if (stopping_) return false;
    pages_.push_back(std::move(page));
  }
  changed_.NotifyOne();
  return true;
}

bool PageThreads::RunOnce(const std::string& name, std::pair<void*, void*> who,
                          std::function<void(const Waiting&)> page) {
  {
    MutexLock lock(&mutex_);
    if (stopping_) return false;
    Waiting& waiting = waiting_[name];
    waiting.push_back(who);
    if (waiting.size() > 1) return true;
    pages_.push_back([this, name, page = std::move(page)] {
      Waiting all;
      {
        MutexLock taking(&mutex_);
        all = std::move(waiting_[name]);
        waiting_.erase(name);
      }
      page(all);
    });
  }
  changed_.NotifyOne();
  return true;
}

void PageThreads::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  for (NamedThread& thread : threads_) thread.Join();
}

void PageThreads::Work(ThreadPulse* pulse) {
  while (true) {
    std::function<void()> page;
    {
      MutexLock lock(&mutex_);
      while (pages_.empty() && !stopping_) changed_.Wait(&mutex_);
      if (pages_.empty()) return;
      page = std::move(pages_.front());
      pages_.pop_front();
    }
    const PulseOfWork work(pulse);
    page();
  }
}

}  // namespace kvroute
