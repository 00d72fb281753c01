#ifndef KVROUTE_INDEXER_INDEX_MEMORY_ZEROED_ARRAY_H_
#define KVROUTE_INDEXER_INDEX_MEMORY_ZEROED_ARRAY_H_

#include <sys/mman.h>

#include <cstddef>
#include <type_traits>

#include "indexer/base/check.h"

namespace kvroute {

// An array as long as a limit says, of which only the pages that are written take memory. Elements
// begin as zero bytes, which must be what a new T is.
//
// Errors: ends the process when the system has no address space left.
template <typename T>
class ZeroedArray {
 public:
  static_assert(std::is_trivially_destructible_v<T>);

  explicit ZeroedArray(size_t size) : bytes_(size * sizeof(T)) {
    void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    KVROUTE_CHECK(memory != MAP_FAILED);
    elements_ = static_cast<T*>(memory);
  }
  ~ZeroedArray() { munmap(elements_, bytes_); }
  ZeroedArray(const ZeroedArray&) = delete;
  ZeroedArray& operator=(const ZeroedArray&) = delete;

  T& operator[](size_t i) const { return elements_[i]; }

 private:
  const size_t bytes_;
  T* elements_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_MEMORY_ZEROED_ARRAY_H_
