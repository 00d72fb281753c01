#include "indexer/event/stored_rules.h"

#include "indexer/base/limits.h"

namespace kvroute {
namespace {

// hash(()) of CPython, the parent of a first block in SGLang before its PR 13488.
constexpr EngineHash kEmptyTupleHash(5'740'354'900'026'072'187u);

void ResolveParent(const StoredForm& form, Event* event) {
  event->parent = event->published_parent;
  if (!event->parent) return;
  // A true hash is 0 once in 2^64. Without tokens there is nothing to place and the parent has no
  // meaning.
  if (*event->parent == EngineHash(0) && !event->token_ids.empty()) event->parent.reset();
  const bool old_sglang_possible =
      form.engine == EngineKind::kSglang || (form.engine == EngineKind::kAuto && form.positional);
  if (old_sglang_possible && event->parent == kEmptyTupleHash) event->parent.reset();
}

// A chain that leads back to itself would be followed for ever. Neighbours that are equal are old
// SGLang's repeated pages, whose hash says nothing of their place.
bool IsOwnParent(const Event& event) {
  bool found = false;
  if (event.parent) {
    for (const EngineHash hash : event.block_hashes) found |= hash == *event.parent;
  }
  if (event.tokens_per_hash == 0) return found;
  for (size_t i = 1; i < event.block_hashes.size(); ++i) {
    found |= event.block_hashes[i] == event.block_hashes[i - 1];
  }
  return found;
}

// Old llm-d simulators say block size 0 and send the tokens all the same. They are positional and
// know no groups; from any other producer a 0 beside tokens is an error.
DecodeReason DivideEvenly(const StoredForm& form, Event* event) {
  const size_t hashes = event->block_hashes.size();
  const size_t tokens = event->token_ids.size();
  if (!form.positional || event->group_idx || !event->has_block_size) {
    return DecodeReason::kBlockSize;
  }
  if (hashes == 0 || tokens % hashes != 0 || tokens / hashes > limits::kMaxBlockSizeTokens) {
    return DecodeReason::kBlockSize;
  }
  event->tokens_per_hash = static_cast<uint32_t>(tokens / hashes);
  return DecodeReason::kOk;
}

DecodeReason CountTokens(const StoredForm& form, Event* event) {
  // Mooncake store knows neither; a producer that knows the block size knows the tokens.
  if (form.token_ids_nil && event->block_size != 0) return DecodeReason::kTokenIds;
  const size_t tokens = event->token_ids.size();
  if (tokens == 0) return DecodeReason::kOk;
  if (event->block_size == 0) return DivideEvenly(form, event);

  const uint64_t covered = uint64_t{event->block_hashes.size()} * event->block_size;
  if (tokens < covered) return DecodeReason::kTokenCount;
  if (tokens == covered) {
    event->tokens_per_hash = event->block_size;
    return DecodeReason::kOk;
  }
  const bool whole_blocks = tokens % event->block_size == 0;
  return whole_blocks || !IsFullAttention(*event) ? DecodeReason::kOk : DecodeReason::kTokenCount;
}

}  // namespace

DecodeReason ApplyStoredRules(const StoredForm& form, Event* event) {
  ResolveParent(form, event);
  const DecodeReason reason = CountTokens(form, event);
  if (reason != DecodeReason::kOk) return reason;
  return IsOwnParent(*event) ? DecodeReason::kSelfParent : DecodeReason::kOk;
}

}  // namespace kvroute
