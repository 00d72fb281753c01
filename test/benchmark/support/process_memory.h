#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_PROCESS_MEMORY_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_PROCESS_MEMORY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace kvroute {

uint64_t HeapBytes();  // in use, malloc's own count

// Runs `body` in a child process and returns the numbers it wrote: what it allocates starts from a
// clean heap and is gone afterwards. Crashes when the child does. The caller must have no other
// threads.
using ChildNumbers = std::array<double, 8>;
ChildNumbers RunInChild(const std::function<void(ChildNumbers*)>& body);

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_PROCESS_MEMORY_H_
