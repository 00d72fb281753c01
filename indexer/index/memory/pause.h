#ifndef KVROUTE_INDEXER_INDEX_MEMORY_PAUSE_H_
#define KVROUTE_INDEXER_INDEX_MEMORY_PAUSE_H_

namespace kvroute {

// Tells the processor that a loop waits for another one: it orders nothing and costs a few
// nanoseconds.
inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_MEMORY_PAUSE_H_
