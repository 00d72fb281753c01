#ifndef KVROUTE_ROUTER_ROUTE_PROMPT_PIECES_H_
#define KVROUTE_ROUTER_ROUTE_PROMPT_PIECES_H_

#include <cstdint>

#include "absl/types/span.h"
#include "indexer/index/prefix_hash.h"
#include "router/load/in_flight_prompts.h"
#include "router/prompt/prompt_view.h"

namespace kvroute {

// Pieces of a prompt end every kPieceTokens up to eight of them; from there on as far apart as an
// eighth of the power of two below: a prompt of 128,000 tokens has 48 pieces, and where two prompts
// part is known to an eighth.
inline constexpr uint32_t kPieceTokens = 256;

// Cuts a prompt that ParsePrompt accepted; `inputs` are what it made of the prompt's multimodal
// inputs. The last tokens, which fill no piece, are in none. Prompts that came as token ids, as
// local hashes and as prefix hashes have no pieces in common, nor those of hashes of different
// block sizes: what is not known to be equal is taken for different.
void CutPrompt(const PromptView& prompt, const PromptNamespace& names,
               absl::Span<const PromptInput> inputs, PromptPieces* pieces);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_ROUTE_PROMPT_PIECES_H_
