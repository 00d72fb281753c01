#ifndef KVROUTE_TOOLS_TOP_TOP_FRAME_H_
#define KVROUTE_TOOLS_TOP_TOP_FRAME_H_

#include <string>

#include "absl/status/statusor.h"
#include "indexer/base/enum_names.h"
#include "tools/client/scrape.h"

namespace kvroute {

// What the process said of itself at one moment.
struct TopReading {
  std::string status_json;  // of /status
  Scrape metrics;
};

// What rows are ordered by; those with most, or in most trouble, stand first.
enum class TopSort : uint8_t { kWorker, kTrust, kInFlight, kKv, kBlocks, kGaps, kBatches };
inline constexpr auto kTopSortNames =
    NamesUpTo<TopSort::kBatches>("worker", "trust", "in_flight", "kv", "blocks", "gaps", "batches");

struct TopView {
  bool colours = false;
  TopSort sort = TopSort::kWorker;
  std::string worker;  // not empty: every fact of this one instead of one row a stream
};

// One screenful. Rates and quantiles are of the time between `before` and now, which is `seconds`;
// with 0 seconds, of the time since the process began. INVALID_ARGUMENT when the JSON is not a
// status; NOT_FOUND when there is no worker of that name.
absl::StatusOr<std::string> TopFrame(const TopReading& now, const Scrape& before, double seconds,
                                     const TopView& view = {});

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_TOP_TOP_FRAME_H_
