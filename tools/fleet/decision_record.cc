#include "tools/fleet/decision_record.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace kvroute {

DecisionComparison CompareDecisions(absl::Span<const DecisionRecord> one,
                                    absl::Span<const DecisionRecord> other) {
  DecisionComparison comparison;
  const size_t both = std::min(one.size(), other.size());
  for (size_t i = 0; i < both; ++i) {
    if (one[i] == other[i]) {
      ++comparison.equal;
    } else if (!comparison.first_different.has_value()) {
      comparison.first_different = i;
    }
  }
  if (one.size() != other.size() && !comparison.first_different.has_value()) {
    comparison.first_different = both;
  }
  return comparison;
}

std::string DescribeDecision(const DecisionRecord& decision, uint32_t ranks) {
  std::string target = absl::StrCat("w", decision.target / ranks);
  if (ranks > 1) absl::StrAppend(&target, ".", decision.target % ranks);
  return absl::StrCat(target, " with ", decision.matched_blocks, " blocks matched, ",
                      decision.uncached_tokens, " tokens uncached, ", decision.requests_in_flight,
                      " requests in flight, ", decision.uncached_tokens_outstanding,
                      " uncached tokens outstanding, ", decision.output_tokens_expected,
                      " output tokens expected");
}

}  // namespace kvroute
