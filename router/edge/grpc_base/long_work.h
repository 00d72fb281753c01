#ifndef KVROUTE_ROUTER_EDGE_GRPC_BASE_LONG_WORK_H_
#define KVROUTE_ROUTER_EDGE_GRPC_BASE_LONG_WORK_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "indexer/base/limits.h"
#include "indexer/base/memory_budget.h"
#include "indexer/base/mutex.h"
#include "indexer/base/named_thread.h"

namespace kvroute {

// A call whose answer takes long.
class LongTask {
 public:
  virtual ~LongTask() = default;
  virtual void Run() = 0;
};

// Answers what takes longer than the event loop may be away: long prompts, and whatever names the
// whole fleet. Connections take turns: one that asks for much waits for itself. Its threads yield
// the processor to the event loop.
//
// What a call takes while it is answered is taken out of a budget before it is begun; where that
// has no room it waits until others have ended, and one that is alone is always answered.
//
// Thread safety: every method from any thread. Ownership: a task must live until it has run, and
// the budget as long as this. Errors: RESOURCE_EXHAUSTED when the connection's share of what may
// wait is taken, or there is no thread and the system gives none.
class LongWork {
 public:
  // Threads are made as they are needed. `max_bytes`: of the requests that wait; a quarter of it is
  // one connection's share, but one request may always wait. `memory` may be null: no limit.
  explicit LongWork(size_t max_threads, size_t max_bytes = limits::kMaxLongCallBytes,
                    MemoryBudget* memory = nullptr, std::string_view thread = "grpc-long")
      : max_threads_(max_threads), max_bytes_(max_bytes), memory_(memory), thread_name_(thread) {}
  ~LongWork() { Stop(); }
  LongWork(const LongWork&) = delete;
  LongWork& operator=(const LongWork&) = delete;

  // What a request of so many bytes takes while it is answered, as measured: its numbers, which are
  // copied out of it while it is freed (TakePromptNumbers), the hashes of its prompt's blocks, and
  // what protobuf makes of the rest.
  static uint64_t MemoryOf(size_t bytes) {
    return bytes + std::min<uint64_t>(3 * uint64_t{bytes}, kHashesBytes) + kLeastBytes;
  }
  // The longest request that may be answered alone within so much memory.
  static uint64_t LongestWithin(uint64_t memory) {
    const uint64_t besides = kHashesBytes + kLeastBytes;
    return memory > 4 * besides ? memory - besides : memory * 3 / 4;
  }

  // Of a connection, with a request of so many bytes and an answer of about `answer_bytes`.
  absl::Status Add(uint64_t connection, size_t bytes, LongTask* task, size_t answer_bytes = 0);
  // Runs what waits, then ends the threads. Idempotent; nothing may be added any more.
  void Stop();

 private:
  // kMaxPromptBlocks hashes, in a list that has doubled.
  static constexpr uint64_t kHashesBytes = limits::kMaxPromptBlocks * sizeof(uint64_t) * 2;
  static constexpr uint64_t kLeastBytes = 65'536;
  // How many others may go before the one whose turn it is, since there is no room for it.
  static constexpr uint32_t kMostPassed = 16;

  struct Waiting {
    LongTask* task;
    size_t bytes;
    uint64_t memory;
    bool found_none = false;  // it waits for memory, and has been counted for it
  };
  // One connection's; it is there as long as something of it waits or runs.
  struct Line {
    std::deque<Waiting> tasks;
    size_t bytes = 0;
    bool runs = false;  // one at a time
  };

  void AddThread() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Serve();
  bool TakeNext(uint64_t* connection, Waiting* next) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool TakeMemory(Waiting* task) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Ended(uint64_t connection, const Waiting& task) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t max_threads_;
  const size_t max_bytes_;
  MemoryBudget* const memory_;
  const std::string thread_name_;
  Mutex mutex_;
  CondVar changed_;
  absl::flat_hash_map<uint64_t, Line> lines_ ABSL_GUARDED_BY(mutex_);
  std::deque<uint64_t> turns_ ABSL_GUARDED_BY(mutex_);  // whose next task runs, each once
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t idle_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t running_ ABSL_GUARDED_BY(mutex_) = 0;
  uint32_t passed_ ABSL_GUARDED_BY(mutex_) = 0;  // those whose turn came later, in a row
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<NamedThread> threads_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_BASE_LONG_WORK_H_
