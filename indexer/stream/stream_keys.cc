// The part of StreamApplier that knows by what an engine tells blocks of the same tokens apart:
// what its hashes cover, salts that go down a chain, and keys that are not said or not published.
#include <algorithm>
#include <optional>

#include "indexer/stream/stream_applier.h"

namespace kvroute {

void StreamApplier::LearnLookahead(uint32_t lookahead) {
  lookahead_tokens_ = lookahead;
  status_->lookahead_tokens.store(lookahead, std::memory_order_relaxed);
}

void StreamApplier::LearnNewForm(const Event& event) {
  form_known_ = true;
  named_keys_ |= event.named_keys;
  status_->unnamed_keys.store(kAllKeys & ~named_keys_, std::memory_order_relaxed);
  one_copy_ |= event.one_copy;
  const bool named_a_parent = event.published_parent && *event.published_parent != EngineHash(0);
  content_hashes_ |= named_a_parent && !event.parent;
}

// Of an event of another tier than the gpu. Its tokens do not say which of the blocks that share
// them is meant; its engine hashes do, where they are held. Where no block that has keys shares
// them, there is only one.
bool StreamApplier::IsCopyWithoutKeys(const Event& event, absl::Span<const EngineHash> hashes,
                                      const BlockContents& contents) const {
  if (!event.extra_keys_raw.empty() || !event.cache_salt.empty()) return false;
  // SGLang names the salt in every event, of whichever tier.
  const bool says_keys = event.one_copy && (event.named_keys & kSaltKeys) != 0;
  return keys_misfit_ || (!says_keys && keyed_tokens_.MayHave(contents)) ||
         std::all_of(hashes.begin(), hashes.end(), [this](EngineHash hash) { return Holds(hash); });
}

// An engine that hashes something it does not publish gives one content several hashes, and one
// that keeps such blocks apart without hashing it stores again what it holds. Nothing else does
// either, but for the hashes that connectors make for offload tiers, the pieces of chunks, and
// engines that keep several copies.
void StreamApplier::LookForHiddenKeys(const StoreResult& result, Tier tier) {
  const bool again = one_copy_ && !content_hashes_ && result.duplicate > 0;
  const bool renamed = result.renamed > 0 && !gpu_chunks_;
  applied_.hidden_keys |= tier == Tier::kGpu && (again || renamed);
}

void StreamApplier::KeepSalts(absl::Span<const EngineHash> hashes,
                              std::optional<NamespaceSeed> seed) {
  if (seed.has_value()) {
    for (const EngineHash hash : hashes) salted_.insert_or_assign(hash, *seed);
  } else {
    for (const EngineHash hash : hashes) salted_.erase(hash);
  }
  ChargeKept();
}

void StreamApplier::ForgetSalts(absl::Span<const EngineHash> hashes) {
  if (salted_.empty()) return;
  for (const EngineHash hash : hashes) {
    const auto it = salted_.find(hash);
    if (it != salted_.end() && !Holds(hash)) salted_.erase(it);
  }
}

}  // namespace kvroute
