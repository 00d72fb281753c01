#ifndef KVROUTE_INDEXER_TELEMETRY_PROCESS_METRICS_H_
#define KVROUTE_INDEXER_TELEMETRY_PROCESS_METRICS_H_

#include <cstdint>

#include "indexer/telemetry/exposition.h"

namespace kvroute {

// CPU, memory, file descriptors, threads and start time of this process from /proc/self, under the
// names every Prometheus client uses. What /proc does not give is left out.
void AddProcessMetrics(Exposition* out);
// Memory of this process that is resident, in bytes; 0 when /proc does not give it.
uint64_t ResidentBytes();

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_TELEMETRY_PROCESS_METRICS_H_
