#ifndef KVROUTE_INDEXER_INDEX_MEMORY_CPU_RELAX_H_
#define KVROUTE_INDEXER_INDEX_MEMORY_CPU_RELAX_H_

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

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_MEMORY_CPU_RELAX_H_
