#ifndef KVROUTE_INDEXER_INDEX_MEMORY_POISON_H_
#define KVROUTE_INDEXER_INDEX_MEMORY_POISON_H_

#include <cstddef>

// Tells AddressSanitizer which memory is free although it stays mapped. Without the sanitizer all
// of this is nothing.
#if defined(__SANITIZE_ADDRESS__)
#define KVROUTE_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KVROUTE_ADDRESS_SANITIZER 1
#endif
#endif

#ifdef KVROUTE_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
// For the allocator's own functions, which keep their lists in free memory.
#define KVROUTE_READS_POISONED __attribute__((no_sanitize_address))
#else
#define KVROUTE_READS_POISONED
#endif

namespace kvroute {

// Using the memory is a fault from now on.
inline void Poison([[maybe_unused]] const void* memory, [[maybe_unused]] size_t bytes) {
#ifdef KVROUTE_ADDRESS_SANITIZER
  __asan_poison_memory_region(memory, bytes);
#endif
}

inline void Unpoison([[maybe_unused]] const void* memory, [[maybe_unused]] size_t bytes) {
#ifdef KVROUTE_ADDRESS_SANITIZER
  __asan_unpoison_memory_region(memory, bytes);
#endif
}

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_MEMORY_POISON_H_
