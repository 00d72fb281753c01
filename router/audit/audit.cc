#include "router/audit/audit.h"

#include <algorithm>

namespace kvroute {
namespace {

void Add(AuditStats::Counter& counter, uint64_t by = 1) {
  counter.fetch_add(by, std::memory_order_relaxed);
}

// The cached tokens that the engine tells, or tells by leaving them out: vLLM, and SGLang, may not
// write a 0.
std::optional<uint64_t> CachedTokens(const ResponseUsage& usage, TargetLoad* target) {
  if (usage.cached_tokens) {
    target->MakePredictions().tells_cached.store(true, std::memory_order_relaxed);
    return usage.cached_tokens;
  }
  const TargetPredictions* const known = target->predictions();
  const bool tells = known != nullptr && known->tells_cached.load(std::memory_order_relaxed);
  if (!tells || !usage.prompt_tokens) return std::nullopt;
  return 0;
}

AuditResult Compare(const ResponseUsage& usage, const std::optional<uint64_t>& cached,
                    const EndedLease& lease, AuditStats* stats) {
  const Prediction& prediction = lease.prediction;
  if (prediction.state == Prediction::State::kNone) return AuditResult::kNotPredicted;
  if (prediction.state == Prediction::State::kPart) return AuditResult::kSeveralPrompts;
  if (prediction.state == Prediction::State::kMoved) return AuditResult::kMoved;
  const uint32_t expected = prediction.prompt_tokens;
  if (expected != 0 && usage.prompt_tokens.value_or(expected) != expected) {
    Add(stats->other_prompts);
  }
  if (!cached) return AuditResult::kNoCachedTokens;
  const uint64_t predicted = PredictedCachedTokens(prediction, usage.prompt_tokens);
  const auto trust = static_cast<size_t>(prediction.trust);
  stats->by_trust[trust].Add(predicted, *cached);
  lease.target->MakePredictions().by_trust[trust].Add(predicted, *cached);
  return AuditResult::kCompared;
}

}  // namespace

// The engine's own count of the prompt is taken where there is one: a client that brings hashes
// need not tell it.
uint64_t PredictedCachedTokens(const Prediction& prediction,
                               const std::optional<uint64_t>& told_prompt_tokens) {
  const uint64_t matched = prediction.matched_tokens;
  const uint64_t prompt = told_prompt_tokens.value_or(prediction.prompt_tokens);
  if (prompt == 0 || prediction.block_size_tokens == 0) return matched;
  const uint64_t block = prediction.block_size_tokens;
  return std::min(matched, (prompt - 1) / block * block);
}

void CountAnswer(const AnswerUsage& answer, const EndedLease& lease, AuditStats* stats) {
  Add(stats->answers[static_cast<size_t>(answer.end)]);
  if (answer.end != UsageEnd::kFound) return;
  const ResponseUsage& usage = answer.usage;
  const EndedLease& computed = answer.prefilled_by == nullptr ? lease : *answer.prefilled_by;
  const std::optional<uint64_t> cached = CachedTokens(usage, computed.target.get());
  Add(stats->prompt_tokens, usage.prompt_tokens.value_or(0));
  Add(stats->cached_tokens, cached.value_or(0));
  Add(stats->output_tokens, usage.output_tokens.value_or(0));
  const AuditResult result = Compare(usage, cached, computed, stats);
  Add(stats->results[static_cast<size_t>(result)]);
}

}  // namespace kvroute
