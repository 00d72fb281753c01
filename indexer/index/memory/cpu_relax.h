#ifndef KVROUTE_INDEXER_INDEX_MEMORY_CPU_RELAX_H_
#define KVROUTE_INDEXER_INDEX_MEMORY_CPU_RELAX_H_

#include <chrono>
#include <cstdint>
#include <thread>

namespace kvroute {

// Tells the processor that this thread is polling, so that the other thread of its core gets on.
// It is only a hint: where there is none it does nothing.
inline void CpuRelax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// Between two looks of a thread that waits for another one to be done with a few nanoseconds of
// work; `tries`: its looks so far. If the other seems to have been descheduled it gives its core
// up, and if that did not help it sleeps: yielding alone keeps a core busy for as long as others
// want it.
inline void RelaxFor(uint32_t tries) {
  constexpr uint32_t kYieldEvery = 64;
  constexpr uint32_t kSleepAfter = 16 * kYieldEvery;
  CpuRelax();
  if (tries % kYieldEvery != 0) return;
  if (tries < kSleepAfter) {
    std::this_thread::yield();
  } else {
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_MEMORY_CPU_RELAX_H_
