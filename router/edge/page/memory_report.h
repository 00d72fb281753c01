#ifndef KVROUTE_ROUTER_EDGE_PAGE_MEMORY_REPORT_H_
#define KVROUTE_ROUTER_EDGE_PAGE_MEMORY_REPORT_H_

#include <array>
#include <cstdint>
#include <optional>

#include "indexer/base/memory_budget.h"

namespace kvroute {

// What the process may take, what it does, and the same of the parts that memory.limit is divided
// into, by MemoryPart.
struct MemoryReport {
  struct Part {
    uint64_t limit_bytes = 0;
    std::optional<uint64_t> used_bytes;  // nullopt: ZeroMQ and gRPC do not say it
    uint64_t refused = 0;                // times that more was asked for than there was
  };
  uint64_t limit_bytes = 0;
  uint64_t used_bytes = 0;  // resident
  std::array<Part, kMemoryPartCount> parts;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_PAGE_MEMORY_REPORT_H_
