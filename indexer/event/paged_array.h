#ifndef KVROUTE_INDEXER_EVENT_PAGED_ARRAY_H_
#define KVROUTE_INDEXER_EVENT_PAGED_ARRAY_H_

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <new>
#include <type_traits>

#include "absl/types/span.h"

namespace kvroute {

// A growing array in pages of its own: growing moves pages and copies nothing, so that at no time
// it takes more memory than its elements; a vector takes three times as much while it grows.
//
// Thread safety: one thread at a time. Errors: PushBack says when the system has no memory.
template <typename T>
class PagedArray {
  static_assert(std::is_trivially_destructible_v<T> && std::is_trivially_copyable_v<T>);

 public:
  // What Clear keeps at most.
  static constexpr size_t kRetainedBytes = size_t{1} << 20;

  PagedArray() = default;
  ~PagedArray() {
    if (bytes_ > 0) munmap(elements_, bytes_);
  }
  PagedArray(const PagedArray&) = delete;
  PagedArray& operator=(const PagedArray&) = delete;

  // A new T at the end; null when there is no memory.
  T* PushBack() {
    if ((size_ + 1) * sizeof(T) > bytes_ && !Resize(std::max(kLeastBytes, bytes_ * 2))) {
      return nullptr;
    }
    // Not T(), which would first clear all of it, which for an Event takes 10 ns.
    return new (elements_ + size_++) T;
  }
  void PopBack() { --size_; }
  void Clear() {
    size_ = 0;
    if (bytes_ > kRetainedBytes) Resize(kRetainedBytes);
  }
  size_t size() const { return size_; }
  absl::Span<const T> values() const { return {elements_, size_}; }

 private:
  static constexpr size_t kLeastBytes = 16'384;

  bool Resize(size_t bytes) {
    void* const memory = bytes_ == 0 ? mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                                     : mremap(elements_, bytes_, bytes, MREMAP_MAYMOVE);
    if (memory == MAP_FAILED) return false;
    elements_ = static_cast<T*>(memory);
    bytes_ = bytes;
    return true;
  }

  T* elements_ = nullptr;
  size_t size_ = 0;
  size_t bytes_ = 0;  // mapped; of them those behind the elements take no memory
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_EVENT_PAGED_ARRAY_H_
