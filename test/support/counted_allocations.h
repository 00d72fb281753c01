#ifndef KVROUTE_TEST_SUPPORT_COUNTED_ALLOCATIONS_H_
#define KVROUTE_TEST_SUPPORT_COUNTED_ALLOCATIONS_H_

// Replaces operator new of the binary that includes it, in one source file only, and counts the
// bytes that are allocated at a time.
#include <malloc.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace kvroute {

inline std::atomic<int64_t> live_bytes{0};
inline std::atomic<int64_t> most_live_bytes{0};  // since it was last set

inline void* CountedNew(size_t size) {
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) std::abort();
  const auto bytes = static_cast<int64_t>(malloc_usable_size(memory));
  const int64_t now = live_bytes.fetch_add(bytes) + bytes;
  if (now > most_live_bytes.load()) most_live_bytes = now;
  return memory;
}
inline void CountedDelete(void* memory) {
  if (memory != nullptr) live_bytes.fetch_sub(static_cast<int64_t>(malloc_usable_size(memory)));
  std::free(memory);
}

}  // namespace kvroute

[[gnu::noinline]] void* operator new(size_t size) { return kvroute::CountedNew(size); }
void* operator new[](size_t size) { return kvroute::CountedNew(size); }
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return kvroute::CountedNew(size);
}
void* operator new[](size_t size, const std::nothrow_t&) noexcept {
  return kvroute::CountedNew(size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { kvroute::CountedDelete(memory); }
void operator delete[](void* memory) noexcept { kvroute::CountedDelete(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept {
  kvroute::CountedDelete(memory);
}
void operator delete[](void* memory, size_t) noexcept { kvroute::CountedDelete(memory); }

#endif  // KVROUTE_TEST_SUPPORT_COUNTED_ALLOCATIONS_H_
