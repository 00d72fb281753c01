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
  const size_t tokens = event->token_ids.size();
  if (tokens == 0) return DecodeReason::kOk;  // nil or none: at most a copy of what is held
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

// What is said to stand behind a block must be what the next block begins with.
DecodeReason CheckLookahead(Event* event) {
  const size_t ahead = event->lookahead_tokens;
  if (ahead == 0) return DecodeReason::kOk;
  const size_t size = event->tokens_per_hash;
  if (size == 0) {  // nothing says what it is ahead of
    event->lookahead_tokens = 0;
    event->lookahead_token_ids = {};
    return DecodeReason::kOk;
  }
  const size_t hashes = event->block_hashes.size();
  if (event->bigram || event->lookahead_token_ids.size() != hashes * ahead) {
    return DecodeReason::kField;
  }
  for (size_t i = 0; i + 1 < hashes; ++i) {
    const auto behind = event->token_ids.subspan((i + 1) * size, ahead);
    const auto said = event->lookahead_token_ids.subspan(i * ahead, behind.size());
    if (behind != said) return DecodeReason::kField;
  }
  return DecodeReason::kOk;
}

// vLLM's maps always have lora_name, nil or not; SGLang's only where there is one. Dynamo's bridge
// from TensorRT-LLM has not even lora_id.
bool IsSglang(const StoredForm& form, const Event& event) {
  if (form.engine != EngineKind::kAuto) return form.engine == EngineKind::kSglang;
  if (form.has_salt) return true;
  if (form.positional || form.has_extra_keys || event.group_idx) return false;
  return form.has_lora_id && (!form.has_lora_name || event.lora_name.data() != nullptr);
}

// Salts and images are on the wire since vLLM 0.17, which the field for extra keys shows, and salts
// since SGLang's first maps.
uint8_t NamedKeysOf(const StoredForm& form, bool sglang) {
  if (sglang) return form.has_salt || !form.positional ? kSaltKeys : 0;
  const bool vllm_map = !form.positional && form.has_lora_name;
  const bool may_be_vllm = form.engine == EngineKind::kAuto || form.engine == EngineKind::kVllm;
  if (may_be_vllm && (form.has_extra_keys || vllm_map)) return kAllKeys;
  return form.positional || form.has_lora_name ? kAdapterKeys : 0;
}

}  // namespace

DecodeReason ApplyStoredRules(const StoredForm& form, Event* event) {
  ResolveParent(form, event);
  DecodeReason reason = CountTokens(form, event);
  if (reason == DecodeReason::kOk) reason = CheckLookahead(event);
  if (reason != DecodeReason::kOk) return reason;
  return IsOwnParent(*event) ? DecodeReason::kSelfParent : DecodeReason::kOk;
}

void JudgeForm(const StoredForm& form, Event* event) {
  event->one_copy = IsSglang(form, *event);
  event->named_keys = NamedKeysOf(form, event->one_copy);
  if (!event->cache_salt.empty()) event->named_keys |= kSaltKeys;
  if (!event->lora_name.empty() || event->lora_id) event->named_keys |= kAdapterKeys;
}

}  // namespace kvroute
