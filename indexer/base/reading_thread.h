#ifndef KVROUTE_INDEXER_BASE_READING_THREAD_H_
#define KVROUTE_INDEXER_BASE_READING_THREAD_H_

#include <pthread.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "indexer/base/clock.h"
#include "indexer/base/mutex.h"

namespace kvroute {

// A thread that reads what may hang, a file on a network mount for instance, again and again, and
// hands over what it has read. Its owner ends without it when a read takes longer than kPatience:
// the thread is let go, and what it reads then goes nowhere.
//
// Thread safety: Poke from any thread; `take` runs on the thread, one call at a time.
// Ownership: `read` may use nothing but what it owns itself; `take` runs only while this lives.
template <typename Result>
class ReadingThread {
 public:
  using Read = std::function<Result()>;
  using Take = std::function<void(Result)>;
  static constexpr std::chrono::milliseconds kPatience{1'000};

  ReadingThread(const std::string& name, std::chrono::milliseconds interval, Read read, Take take)
      : state_(std::make_shared<State>()),
        thread_([state = state_, name = name.substr(0, 15), interval, read = std::move(read),
                 take = std::move(take)] {
          pthread_setname_np(pthread_self(), name.c_str());
          Run(state.get(), interval, read, take);
        }) {}
  // Waits for `take`, however long that takes.
  ~ReadingThread() {
    if (state_->End()) {
      thread_.join();
    } else {
      thread_.detach();
    }
  }
  ReadingThread(const ReadingThread&) = delete;
  ReadingThread& operator=(const ReadingThread&) = delete;

  // Reads now.
  void Poke() { state_->Poke(); }

 private:
  class State {
   public:
    void Poke() {
      MutexLock lock(&mutex_);
      poked_ = true;
      changed_.NotifyAll();
    }
    // False: it is to end.
    bool WaitToRead(std::chrono::milliseconds interval) {
      MutexLock lock(&mutex_);
      if (!ending_ && !poked_) changed_.WaitFor(&mutex_, interval);
      poked_ = false;
      reading_ = !ending_;
      return reading_;
    }
    bool MayTake() {
      MutexLock lock(&mutex_);
      reading_ = false;
      changed_.NotifyAll();
      return !ending_;
    }
    // False: it still reads, and will end by itself.
    bool End() {
      const Nanos until = Clock::Real().Monotonic() + kPatience;
      MutexLock lock(&mutex_);
      ending_ = true;
      changed_.NotifyAll();
      while (reading_) {
        const Nanos left = until - Clock::Real().Monotonic();
        if (left <= Nanos(0)) return false;
        changed_.WaitFor(&mutex_, std::chrono::ceil<std::chrono::milliseconds>(left));
      }
      return true;
    }

   private:
    Mutex mutex_;
    CondVar changed_;
    bool poked_ ABSL_GUARDED_BY(mutex_) = false;
    bool reading_ ABSL_GUARDED_BY(mutex_) = false;
    bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  };

  static void Run(State* state, std::chrono::milliseconds interval, const Read& read,
                  const Take& take) {
    while (state->WaitToRead(interval)) {
      Result result = read();
      if (!state->MayTake()) return;
      take(std::move(result));
    }
  }

  const std::shared_ptr<State> state_;
  std::thread thread_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_READING_THREAD_H_
