#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_ALLOCATION_COUNT_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_ALLOCATION_COUNT_H_

#include <cstdint>

namespace kvroute {

// How often the calling thread has called operator new. A binary that refers to it has its operator
// new replaced by one that counts and calls malloc.
uint64_t ThreadAllocations();

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_ALLOCATION_COUNT_H_
