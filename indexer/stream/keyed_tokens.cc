#include "indexer/stream/keyed_tokens.h"

#include "indexer/base/limits.h"

namespace kvroute {
namespace {

constexpr size_t kWords = limits::kMaxKeyedTokensBytes / sizeof(uint64_t);
constexpr uint64_t kBits = uint64_t{kWords} * 64;
constexpr int kBitsABlock = 4;
static_assert((kBits & (kBits - 1)) == 0);

// visit(word, mask) for each bit of a block, until it returns false.
template <typename Visit>
bool ForEachBit(LocalHash tokens, Visit visit) {
  const uint64_t step = tokens.value() >> 32 | 1;
  uint64_t at = tokens.value();
  for (int i = 0; i < kBitsABlock; ++i, at += step) {
    const uint64_t bit = at & (kBits - 1);
    if (!visit(bit / 64, uint64_t{1} << (bit % 64))) return false;
  }
  return true;
}

LocalHash TokensOf(const BlockContents& contents, size_t block) {
  return HashBlock(
      TokensOfBlock(contents.tokens, contents.block_size, block, contents.lookahead_tokens),
      contents.seed_unsalted);
}

size_t BlocksOf(const BlockContents& contents) {
  return FullBlocks(contents.tokens.size(), contents.block_size, contents.lookahead_tokens);
}

}  // namespace

void KeyedTokens::AddKeyed(const BlockContents& contents, bool salted) {
  bits_.resize(kWords);
  uint32_t mix_begin = 0;
  for (size_t block = 0; block < BlocksOf(contents); ++block) {
    const uint32_t mix_end = contents.mix_ends.empty() ? 0 : contents.mix_ends[block];
    if (salted || mix_end > mix_begin) {
      ForEachBit(TokensOf(contents, block), [this](uint64_t word, uint64_t mask) {
        bits_[word] |= mask;
        return true;
      });
    }
    mix_begin = mix_end;
  }
}

bool KeyedTokens::MayHave(const BlockContents& contents) const {
  if (bits_.empty()) return false;
  for (size_t block = 0; block < BlocksOf(contents); ++block) {
    const bool all_set =
        ForEachBit(TokensOf(contents, block),
                   [this](uint64_t word, uint64_t mask) { return (bits_[word] & mask) != 0; });
    if (all_set) return true;
  }
  return false;
}

}  // namespace kvroute
