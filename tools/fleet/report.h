#ifndef KVROUTE_TOOLS_FLEET_REPORT_H_
#define KVROUTE_TOOLS_FLEET_REPORT_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tools/fleet/decision_record.h"
#include "tools/fleet/percentiles.h"
#include "tools/fleet/phase_clock.h"

namespace kvroute {

// kvroute's matches beside the engines' own counts at the same moment. `equal`, `over` and `under`
// count the predictions made while the stream was exact and settled (everything the engine had
// published was reflected); the others are told apart by why they were not.
struct PredictionCounts {
  uint64_t equal = 0;
  uint64_t over = 0;
  uint64_t under = 0;
  uint64_t not_exact = 0;          // the stream's trust was not exact
  uint64_t not_settled = 0;        // exact, but batches were still under way
  uint64_t not_settled_equal = 0;  // of those, the ones that were right all the same

  uint64_t total() const { return equal + over + under + not_exact + not_settled; }
  uint64_t checked() const { return equal + over + under; }
};

// One policy's run.
struct PolicyReport {
  bool asks_kvroute = false;
  uint64_t requests = 0;
  uint64_t prompt_tokens = 0;
  uint64_t cached_tokens = 0;  // of those, found in the engine's cache when first scheduled
  PredictionCounts predictions;
  std::vector<DecisionRecord> decisions;  // by request
  Percentiles ttft_ms;                    // virtual
  double imbalance = 1;                   // most prefilled tokens of a rank / mean of all ranks
  uint64_t preemptions = 0;
  uint64_t batches = 0;  // published
  uint64_t published_blocks = 0;
  double virtual_seconds = 0;
  double wall_seconds = 0;
  PhaseTimes phases{};                        // of the wall seconds
  double max_behind_ms = 0;                   // real time
  double route_p50_us = 0, route_p99_us = 0;  // of the Route calls, real time

  double hit_rate() const {
    return prompt_tokens == 0
               ? 0
               : static_cast<double>(cached_tokens) / static_cast<double>(prompt_tokens);
  }
};

// How a run is judged, beside its predictions on exact and settled streams, which must always be
// right.
enum class Judged : uint8_t {
  kEveryDecision,  // in lock-step: all predictions were on exact and settled streams, and every
                   // decision is the oracle's
  kByBounds,       // engines misbehaved: those of Verdict
  kNothingElse,    // paced: lag is shown, not judged
};

struct FleetReport {
  std::string trace = "";
  uint32_t workers = 0;
  uint32_t ranks = 1;  // of each worker
  uint64_t seed = 1;   // of ties
  Judged judged = Judged::kEveryDecision;
  std::vector<std::pair<std::string, PolicyReport>> policies = {};

  // "oracle:lmetric" for "lmetric" and "kvroute:lmetric"; nullptr: it did not run.
  const PolicyReport* OracleOf(const std::string& policy) const;
};

std::string ToTable(const FleetReport& report);
// What each run spent its time on.
std::string ToTimes(const FleetReport& report);
// How far the runs that asked kvroute are from their oracles; empty when no pair ran.
std::string ToLag(const FleetReport& report);
std::string ToJson(const FleetReport& report);

// The bounds of Judged::kByBounds.
struct Verdict {
  double min_checked_share = 0.5;  // of the predictions, those made while exact and settled
  // between a policy's hit rate and its oracle's, in percentage points
  double max_oracle_gap_points = 1;
};
// One line for each promise that was broken; empty: all were kept.
std::vector<std::string> BrokenPromises(const FleetReport& report, const Verdict& verdict);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_FLEET_REPORT_H_
