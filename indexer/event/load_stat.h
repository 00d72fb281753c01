#ifndef KVROUTE_INDEXER_EVENT_LOAD_STAT_H_
#define KVROUTE_INDEXER_EVENT_LOAD_STAT_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"

namespace kvroute {

// What an SGLang scheduler says of its load (--load-publish-endpoint), each second and with every
// change. docs/wire-format.md has the form.
struct LoadStat {
  uint32_t running = 0;  // requests
  uint32_t waiting = 0;
  uint64_t used_tokens = 0;      // of its KV cache
  uint64_t capacity_tokens = 0;  // 0: it does not know
  // Since 0.5.23: of the waiting requests, what is not cached.
  std::optional<uint64_t> waiting_uncached_tokens;
};

// Reads ["LoadStat", running, waiting, used, capacity, rank, waiting uncached, ...]; what follows
// is of later versions and is stepped over.
//
// Errors: INVALID_ARGUMENT names the field that is not there, or is no number that it may be.
absl::StatusOr<LoadStat> ReadLoadStat(std::string_view payload);

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_EVENT_LOAD_STAT_H_
