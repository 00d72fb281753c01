#ifndef KVROUTE_ROUTER_PROMPT_PROMPT_PIECES_H_
#define KVROUTE_ROUTER_PROMPT_PROMPT_PIECES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "indexer/base/strong_int.h"
#include "indexer/index/prefix_hash.h"
#include "router/prompt/prompt_view.h"

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

// Pieces of a prompt end every kPieceTokens up to eight of them; from there on as far apart as an
// eighth of the power of two below: a prompt of 131,072 tokens has 56 pieces, and where two prompts
// part is known to an eighth.
inline constexpr uint32_t kPieceTokens = 256;

// Cuts a prompt that ParsePrompt accepted; `inputs` are what it made of the prompt's multimodal
// inputs. The last tokens, which fill no piece, are in none. Prompts that came as token ids, as
// local hashes and as prefix hashes have no pieces in common, nor those of hashes of different
// block sizes: what is not known to be equal is taken for different.
void CutPrompt(const PromptView& prompt, const PromptNamespace& names,
               absl::Span<const PromptInput> inputs, PromptPieces* pieces);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_PROMPT_PROMPT_PIECES_H_
