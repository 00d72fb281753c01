#ifndef KVROUTE_INDEXER_BASE_THREAD_SUPPLY_H_
#define KVROUTE_INDEXER_BASE_THREAD_SUPPLY_H_

#include <cstddef>

#include "absl/status/status.h"

namespace kvroute {

// Whether the system gives this process so many further threads, tried: to be asked before they are
// made, since libraries end the process where it gives none. UNAVAILABLE says how many it gave.
absl::Status TryThreads(size_t count);

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_THREAD_SUPPLY_H_
