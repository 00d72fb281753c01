#include "indexer/stream/block_contents.h"

#include "absl/strings/str_cat.h"

namespace kvroute {
namespace {

// The cache salt as vLLM publishes it: the last bare string of the first block of a prompt.
std::string_view SaltInExtraKeys(const Event& event) {
  if (event.parent.has_value() || event.extra_keys.empty()) return {};
  const auto& strings = event.extra_keys.front().strings;
  return strings.empty() ? std::string_view() : strings.back();
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
  ReadExtraKeys(event, salt_in_strings);

  BlockContents contents;
  contents.tokens = event.token_ids;
  contents.block_size = block_size;
  contents.bigram = event.bigram;
  contents.seed = MakeNamespaceSeed(LoraName(event), salt);
  contents.salted = !salt.empty();
  contents.mix = mix_;
  if (!mix_.empty()) contents.mix_ends = mix_ends_;
  if (event.bigram) {
    bigram_tokens_.assign(event.token_ids.begin(), event.token_ids.end());
    bigram_tokens_.push_back(event.bigram_last);
    contents.tokens = bigram_tokens_;
  }
  return contents;
}

void ContentsReader::ReadExtraKeys(const Event& event, bool salt_in_strings) {
  mix_.clear();
  mix_ends_.clear();
  for (size_t i = 0; i < event.extra_keys.size(); ++i) {
    const BlockExtraKeys& keys = event.extra_keys[i];
    for (const MultimodalKey& key : keys.multimodal) {
      MixMultimodal(key.identifier, key.has_offset ? key.offset_tokens : 0, &mix_);
    }
    absl::Span<const std::string_view> strings = keys.strings;
    if (i == 0 && salt_in_strings) strings.remove_suffix(1);
    for (const std::string_view identifier : strings) MixMultimodal(identifier, 0, &mix_);
    for (const std::string_view digest : keys.digests) MixMultimodal(digest, 0, &mix_);
    for (const int64_t integer : keys.integers) mix_.push_back(static_cast<uint64_t>(integer));
    mix_ends_.push_back(static_cast<uint32_t>(mix_.size()));
  }
}

void HashContents(const BlockContents& contents, NamespaceSeed seed,
                  std::vector<LocalHash>* locals) {
  const size_t blocks = FullBlocks(contents.tokens.size(), contents.block_size, contents.bigram);
  locals->clear();
  uint32_t mix_begin = 0;
  for (size_t i = 0; i < blocks; ++i) {
    const absl::Span<const TokenId> window =
        TokensOfBlock(contents.tokens, contents.block_size, i, contents.bigram);
    if (contents.mix_ends.empty()) {
      locals->push_back(HashBlock(window, seed));
      continue;
    }
    const uint32_t mix_end = contents.mix_ends[i];
    locals->push_back(
        HashBlock(window, seed, contents.mix.subspan(mix_begin, mix_end - mix_begin)));
    mix_begin = mix_end;
  }
}

}  // namespace kvroute
