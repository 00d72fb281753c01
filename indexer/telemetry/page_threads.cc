#include "indexer/telemetry/page_threads.h"

#include <utility>

namespace kvroute {

PageThreads::PageThreads(int threads) {
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back("http-page", [this] { Work(); });
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

void PageThreads::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  for (NamedThread& thread : threads_) thread.Join();
}

void PageThreads::Work() {
  while (true) {
    std::function<void()> page;
    {
      MutexLock lock(&mutex_);
      while (pages_.empty() && !stopping_) changed_.Wait(&mutex_);
      if (pages_.empty()) return;
      page = std::move(pages_.front());
      pages_.pop_front();
    }
    page();
  }
}

}  // namespace kvroute
