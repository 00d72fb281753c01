#ifndef KVROUTE_ROUTER_PROMPT_PROMPT_PIECES_H_
#define KVROUTE_ROUTER_PROMPT_PROMPT_PIECES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "indexer/base/strong_int.h"
#include "indexer/index/prefix_hash.h"

namespace kvroute {

// Hash of a prompt from its beginning to the end of some piece of it.
using PieceHash = StrongInt<struct PieceHashTag, uint64_t>;

// A prompt in pieces, each hashed together with all before it: two prompts that begin alike have
// pieces that do.
struct PromptPieces {
  std::vector<PieceHash> hashes;
  std::vector<uint32_t> ends;  // of each piece, in tokens from the prompt's beginning

  size_t size() const { return hashes.size(); }
  void clear() {
    hashes.clear();
    ends.clear();
  }
};

// The shortest pieces are so long, or a block if that is longer. From four of them on they are a
// quarter of the power of two below: a prompt of 131,072 tokens has 32 pieces, and where two
// prompts part is known to a quarter.
inline constexpr uint32_t kPieceTokens = 256;

// Cuts a prompt of blocks of that size, from its blocks' hashes: what these tell apart is different
// here, too. The last blocks, which fill no piece, are in none. Prompts by their prefix hashes have
// no piece in common with those by local ones, nor have prompts of different block sizes.
void CutPrompt(PromptChain* chain, uint32_t block_size_tokens, PromptPieces* pieces);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_PROMPT_PROMPT_PIECES_H_
