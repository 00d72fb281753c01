#ifndef KVROUTE_TOOLS_ENGINE_GENERATION_H_
#define KVROUTE_TOOLS_ENGINE_GENERATION_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "indexer/base/mutex.h"
#include "indexer/event/event.h"

namespace kvroute {

// What an engine is asked to generate.
struct GenerationSpec {
  std::vector<TokenId> tokens;  // the prompt, then the answer that it will give
  uint32_t prompt_tokens = 0;
  std::string lora_name, cache_salt;
};

// How far a request has come, between the engine that runs it and the connection that waits for it.
//
// Thread safety: every method from any thread. Ownership: shared by both.
class Generation {
 public:
  struct Progress {
    uint32_t generated_tokens = 0;
    uint32_t cached_tokens = 0;  // of the prompt, found in the cache; known with the first token
    bool finished = false;
    bool failed = false;  // the engine died: nothing more will come
  };

  Progress Read() const {
    MutexLock lock(&mutex_);
    return progress_;
  }
  // When there are no more than `seen` tokens of it, and it goes on: runs `wait`, and `wake` once
  // there are more or it has ended, on the engine's thread. False: neither; that is so already.
  bool AwaitMoreThan(uint32_t seen, const std::function<void()>& wait, std::function<void()> wake) {
    MutexLock lock(&mutex_);
    if (IsBeyond(seen)) return false;
    wait();
    seen_ = seen;
    wake_ = std::move(wake);
    return true;
  }
  // The engine's.
  void Set(const Progress& progress) {
    std::function<void()> wake;
    {
      MutexLock lock(&mutex_);
      progress_ = progress;
      if (IsBeyond(seen_)) wake = std::exchange(wake_, nullptr);
    }
    if (wake) wake();
  }

 private:
  bool IsBeyond(uint32_t seen) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return progress_.generated_tokens > seen || progress_.finished || progress_.failed;
  }

  mutable Mutex mutex_;
  Progress progress_ ABSL_GUARDED_BY(mutex_);
  uint32_t seen_ ABSL_GUARDED_BY(mutex_) = 0;
  std::function<void()> wake_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_ENGINE_GENERATION_H_
