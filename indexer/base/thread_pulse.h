#ifndef KVROUTE_INDEXER_BASE_THREAD_PULSE_H_
#define KVROUTE_INDEXER_BASE_THREAD_PULSE_H_

#include <atomic>
#include <cstdint>

namespace kvroute {

// What a thread that works now and then shows of itself: whether it is at work, and that it goes
// on. Costs it one relaxed store a call, and no clock; how long nothing has changed is for whoever
// looks (Watchdog).
//
// Thread safety: Begin, Step and End by the thread itself; beats from any thread.
class ThreadPulse {
 public:
  void Begin() { Set((beats() | 1) + 2); }
  void Step() { Set(beats() + 2); }  // a piece of longer work is done
  void End() { Set((beats() + 2) & ~uint64_t{1}); }

  // Another with each call; odd while at work.
  uint64_t beats() const { return beats_.load(std::memory_order_relaxed); }

 private:
  void Set(uint64_t beats) { beats_.store(beats, std::memory_order_relaxed); }

  std::atomic<uint64_t> beats_{0};
};

// At work as long as it lives.
class PulseOfWork {
 public:
  explicit PulseOfWork(ThreadPulse* pulse) : pulse_(pulse) { pulse_->Begin(); }
  ~PulseOfWork() { pulse_->End(); }
  PulseOfWork(const PulseOfWork&) = delete;
  PulseOfWork& operator=(const PulseOfWork&) = delete;

 private:
  ThreadPulse* const pulse_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_THREAD_PULSE_H_
