#include "indexer/stream/block_contents.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace kvroute {
namespace {

// The cache salt as vLLM publishes it: the last bare string of the first block of a prompt, and of
// no other.
std::string_view SaltInExtraKeys(const Event& event) {
  if (event.parent.has_value() || event.extra_keys.empty()) return {};
  const auto& strings = event.extra_keys.front().strings;
  if (strings.empty()) return {};
  if (event.extra_keys.size() > 1) {
    const auto& next = event.extra_keys[1].strings;
    if (std::find(next.begin(), next.end(), strings.back()) != next.end()) return {};
  }
  return strings.back();
}

}  // namespace

// Before vLLM 0.14 an adapter is only known by its number: its decimal text is its name then.
std::string_view ContentsReader::LoraName(const Event& event) {
  if (!event.lora_name.empty() || !event.lora_id.has_value()) return event.lora_name;
  lora_id_ = absl::StrCat(*event.lora_id);
  return lora_id_;
}

BlockContents ContentsReader::Read(const Event& event, uint32_t block_size) {
  const bool salt_in_strings = event.cache_salt.empty() && !SaltInExtraKeys(event).empty();
  const std::string_view salt = salt_in_strings ? SaltInExtraKeys(event) : event.cache_salt;

  BlockContents contents;
  contents.inputs = ReadExtraKeys(event, salt_in_strings);
  contents.tokens = event.token_ids;
  contents.block_size = block_size;
  contents.lookahead_tokens = LookaheadOf(event);
  contents.seed = MakeNamespaceSeed(LoraName(event), salt);
  contents.salted = !salt.empty();
  contents.seed_unsalted = contents.salted ? MakeNamespaceSeed(LoraName(event), "") : contents.seed;
  contents.mix = mix_;
  if (!mix_.empty()) contents.mix_ends = mix_ends_;
  if (contents.lookahead_tokens == 0) return contents;
  const absl::Span<const TokenId> behind =
      event.bigram ? absl::MakeConstSpan(&event.bigram_last, 1)
                   : event.lookahead_token_ids.last(contents.lookahead_tokens);
  tokens_.assign(event.token_ids.begin(), event.token_ids.end());
  tokens_.insert(tokens_.end(), behind.begin(), behind.end());
  contents.tokens = tokens_;
  return contents;
}

BlockContents::Inputs ContentsReader::ReadExtraKeys(const Event& event, bool salt_in_strings) {
  mix_.clear();
  mix_ends_.clear();
  bool placed = false;
  bool bare = false;
  for (size_t i = 0; i < event.extra_keys.size(); ++i) {
    const BlockExtraKeys& keys = event.extra_keys[i];
    for (const MultimodalKey& key : keys.multimodal) {
      MixMultimodal(key.identifier, key.has_offset ? key.offset_tokens : 0, &mix_);
      placed |= key.has_offset;
      bare |= !key.has_offset;
    }
    absl::Span<const std::string_view> strings = keys.strings;
    if (i == 0 && salt_in_strings) strings.remove_suffix(1);
    for (const std::string_view identifier : strings) MixMultimodal(identifier, 0, &mix_);
    bare |= !strings.empty();
    for (const std::string_view digest : keys.digests) MixMultimodal(digest, 0, &mix_);
    for (const int64_t integer : keys.integers) mix_.push_back(static_cast<uint64_t>(integer));
    mix_ends_.push_back(static_cast<uint32_t>(mix_.size()));
  }
  if (placed) return BlockContents::Inputs::kPlaced;
  return bare ? BlockContents::Inputs::kBare : BlockContents::Inputs::kNone;
}

void ContentsReader::GiveBackScratch() {
  GiveBackIfLarge(&tokens_);
  GiveBackIfLarge(&mix_);
  GiveBackIfLarge(&mix_ends_);
}

void HashContents(const BlockContents& contents, NamespaceSeed seed,
                  std::vector<LocalHash>* locals) {
  const size_t blocks =
      FullBlocks(contents.tokens.size(), contents.block_size, contents.lookahead_tokens);
  locals->resize(blocks);
  if (contents.mix_ends.empty()) {
    return HashBlocks(contents.tokens, contents.block_size, contents.lookahead_tokens, seed, 0,
                      absl::MakeSpan(*locals));
  }
  uint32_t mix_begin = 0;
  for (size_t i = 0; i < blocks; ++i) {
    const absl::Span<const TokenId> window =
        TokensOfBlock(contents.tokens, contents.block_size, i, contents.lookahead_tokens);
    const uint32_t mix_end = contents.mix_ends[i];
    (*locals)[i] = HashBlock(window, seed, contents.mix.subspan(mix_begin, mix_end - mix_begin));
    mix_begin = mix_end;
  }
}

}  // namespace kvroute
