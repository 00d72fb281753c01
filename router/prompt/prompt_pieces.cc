#include "router/prompt/prompt_pieces.h"

#include <algorithm>
#include <bit>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace kvroute {
namespace {

constexpr size_t kEvenUnits = 4;

// Where the piece ends that begins there, in units of as many blocks as the shortest has.
size_t NextEnd(size_t at) {
  return at < kEvenUnits ? at + 1 : at + std::bit_floor(at) / kEvenUnits;
}

}  // namespace

void CutPrompt(PromptChain* chain, uint32_t block_size_tokens, PromptPieces* pieces) {
  pieces->clear();
  const size_t unit = std::max<size_t>(kPieceTokens / block_size_tokens, 1);
  const size_t units = chain->size() / unit;
  if (units == 0) return;
  const PrefixHash* const prefixes = chain->by_prefixes() ? chain->prefixes().data() : nullptr;
  const LocalHash* const locals = prefixes == nullptr ? chain->Locals(units * unit) : nullptr;
  const uint64_t seed = uint64_t{block_size_tokens} * 2 + (prefixes == nullptr ? 0 : 1);
  uint64_t hash = seed;
  for (size_t at = 0, next = NextEnd(0); next <= units; at = next, next = NextEnd(next)) {
    const size_t from = at * unit, to = next * unit;
    hash = prefixes == nullptr
               ? XXH3_64bits_withSeed(locals + from, (to - from) * sizeof(LocalHash), hash)
               : prefixes[to - 1].value() ^ seed;  // it says already what is before it
    pieces->hashes.push_back(PieceHash(hash));
    pieces->ends.push_back(static_cast<uint32_t>(to * block_size_tokens));
  }
}

}  // namespace kvroute
