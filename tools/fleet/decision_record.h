#ifndef KVROUTE_TOOLS_FLEET_DECISION_RECORD_H_
#define KVROUTE_TOOLS_FLEET_DECISION_RECORD_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/types/span.h"

namespace kvroute {

// Where a request went, and the terms of the chosen target's score as the one who decided saw them:
// its match, and its load before the request. Two who decide by one policy on the same fleet, and
// break ties alike, record the same.
struct DecisionRecord {
  size_t target = 0;
  uint64_t matched_blocks = 0;
  uint64_t uncached_tokens = 0;  // of this request
  uint32_t requests_in_flight = 0;
  uint64_t uncached_tokens_outstanding = 0;
  uint64_t output_tokens_expected = 0;

  bool operator==(const DecisionRecord&) const = default;
};

// Two runs of one workload, decision by decision. Up to the first that differs both fleets were in
// the same state; from there on they go their own ways, and later differences prove nothing.
struct DecisionComparison {
  uint64_t equal = 0;
  std::optional<size_t> first_different;  // number of the request
};
DecisionComparison CompareDecisions(absl::Span<const DecisionRecord> one,
                                    absl::Span<const DecisionRecord> other);

// "w3 with 12 blocks matched, ..." ; "w3.1" when workers have several ranks.
std::string DescribeDecision(const DecisionRecord& decision, uint32_t ranks);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_FLEET_DECISION_RECORD_H_
