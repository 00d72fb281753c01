#include "router/prompt/prompt_pieces.h"

#include <algorithm>
#include <array>
#include <bit>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace kvroute {
namespace {

constexpr size_t kEvenUnits = 8;

// Where the piece ends that begins there, in units of as many tokens as the shortest has.
size_t NextEnd(size_t at) {
  return at < kEvenUnits ? at + 1 : at + std::bit_floor(at) / kEvenUnits;
}

uint64_t Chain(uint64_t before, const void* bytes, size_t size) {
  return XXH3_64bits_withSeed(bytes, size, before);
}

// The inputs that overlap the tokens, each with its place in the prompt.
uint64_t ChainInputs(uint64_t before, absl::Span<const PromptInput> inputs, uint64_t begin,
                     uint64_t end) {
  for (const PromptInput& input : inputs) {
    if (input.end_tokens <= begin || input.begin_tokens >= end) continue;
    const std::array<uint64_t, 2> words = {input.identifier_hash, input.begin_tokens};
    before = Chain(before, words.data(), sizeof(words));
  }
  return before;
}

void Append(uint64_t hash, size_t end_tokens, PromptPieces* pieces) {
  pieces->hashes.push_back(PieceHash(hash));
  pieces->ends.push_back(static_cast<uint32_t>(end_tokens));
}

void CutTokens(absl::Span<const TokenId> tokens, NamespaceSeed seed,
               absl::Span<const PromptInput> inputs, PromptPieces* pieces) {
  uint64_t hash = seed.value();
  const size_t units = tokens.size() / kPieceTokens;
  for (size_t at = 0, next = NextEnd(0); next <= units; at = next, next = NextEnd(next)) {
    const size_t begin = at * kPieceTokens, end = next * kPieceTokens;
    hash = Chain(hash, tokens.data() + begin, (end - begin) * sizeof(TokenId));
    hash = ChainInputs(hash, inputs, begin, end);
    Append(hash, end, pieces);
  }
}

// A prefix hash says already what is before it.
void CutHashes(const BlockHashesView& blocks, PromptPieces* pieces) {
  const bool chained = blocks.kind == BlockHashKind::kPrefix;
  const size_t unit = std::max<size_t>(kPieceTokens / blocks.block_size_tokens, 1);
  const std::array<uint64_t, 3> shape = {static_cast<uint64_t>(blocks.kind),
                                         blocks.block_size_tokens, blocks.lookahead_tokens};
  const uint64_t seed = Chain(0, shape.data(), sizeof(shape));
  uint64_t hash = seed;
  const size_t units = blocks.hashes.size() / unit;
  for (size_t at = 0, next = NextEnd(0); next <= units; at = next, next = NextEnd(next)) {
    const size_t from = chained ? next * unit - 1 : at * unit;
    hash = Chain(chained ? seed : hash, blocks.hashes.data() + from,
                 (next * unit - from) * sizeof(uint64_t));
    Append(hash, next * unit * blocks.block_size_tokens, pieces);
  }
}

}  // namespace

void CutPrompt(const PromptView& prompt, const PromptNamespace& names,
               absl::Span<const PromptInput> inputs, PromptPieces* pieces) {
  pieces->clear();
  if (prompt.block_hashes) return CutHashes(*prompt.block_hashes, pieces);
  CutTokens(prompt.token_ids, MakeNamespaceSeed(names.lora_name, names.cache_salt), inputs, pieces);
}

}  // namespace kvroute
