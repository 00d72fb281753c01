#ifndef KVROUTE_ROUTER_AUDIT_AUDIT_H_
#define KVROUTE_ROUTER_AUDIT_AUDIT_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "indexer/base/enum_names.h"
#include "router/audit/response_usage.h"
#include "router/load/load_tracker.h"

// The truth about decisions: what kvroute predicted of a target's cache beside what its engine says
// it had.
namespace kvroute {

// What became of an answer whose usage is known. Metric label values.
enum class AuditResult : uint8_t {
  kCompared,
  kNotPredicted,    // the prompt was not known when it was decided where it goes
  kSeveralPrompts,  // of which one was predicted; the engine counts all
  kMoved,           // another target served it than the one that the prediction is of
  kNoCachedTokens,  // the engine does not tell them, and never did
};
inline constexpr auto kAuditResultNames = NamesUpTo<AuditResult::kNoCachedTokens>(
    "compared", "not_predicted", "several_prompts", "moved", "no_cached_tokens");

// Process-wide totals of ended leases: relaxed atomics, read by telemetry at scrape time.
struct AuditStats {
  using Counter = std::atomic<uint64_t>;
  std::array<Counter, kUsageEndNames.size()> answers{};  // by whether their usage is known
  std::array<Counter, kAuditResultNames.size()> results{};
  // as engines say
  Counter prompt_tokens{0};
  Counter cached_tokens{0};
  Counter output_tokens{0};
  Counter other_prompts{0};  // prompts that had another number of tokens at the engine than here
  std::array<PredictionCounts, kTrustCount> by_trust{};
};

// What the engine has to have had in its cache for the prediction to be right, in the terms it
// counts in: full blocks, and of a prompt it holds whole not that of the last token, which it
// computes in any case.
uint64_t PredictedCachedTokens(const Prediction& prediction,
                               const std::optional<uint64_t>& told_prompt_tokens);

// Counts an answer whose lease has ended: in `stats`, and in the predictions of its target, or of
// the one that computed the prompt for it.
void CountAnswer(const AnswerUsage& answer, const EndedLease& lease, AuditStats* stats);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_AUDIT_AUDIT_H_
