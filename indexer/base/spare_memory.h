#ifndef KVROUTE_INDEXER_BASE_SPARE_MEMORY_H_
#define KVROUTE_INDEXER_BASE_SPARE_MEMORY_H_

#include <cstddef>
#include <cstdint>

namespace kvroute {

// Memory set aside for the moment in which the system refuses some: it is let go, and the
// allocation that failed is tried again. Not everything that allocates survives std::bad_alloc (a
// hash table of Abseil that throws while it grows is no table any more), so it is better not
// thrown; it is once nothing is left aside.
//
// One of the process. Thread safety: any thread.
class SpareMemory {
 public:
  static constexpr size_t kBytes = size_t{32} << 20;

  // From now on. To be called again every now and then: takes back what was let go, if it can be
  // had.
  static void SetAside();
  // How many times it was let go.
  static uint64_t Uses();
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_SPARE_MEMORY_H_
