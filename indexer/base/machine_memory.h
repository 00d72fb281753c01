#ifndef KVROUTE_INDEXER_BASE_MACHINE_MEMORY_H_
#define KVROUTE_INDEXER_BASE_MACHINE_MEMORY_H_

#include <cstdint>
#include <string>

namespace kvroute {

// How much memory this process may have, in bytes: the machine's, or what the tightest of the
// control groups that it is in allows (a container's limit; version 1 or 2), or half of the address
// space that it may have (ulimit -v), since not all of that becomes memory. `root` is where /proc
// and /sys are, for tests. What cannot be read is no limit; without any, 0.
uint64_t MachineMemoryBytes(const std::string& root = "");

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_MACHINE_MEMORY_H_
