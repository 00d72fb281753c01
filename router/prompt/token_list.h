#ifndef KVROUTE_ROUTER_PROMPT_TOKEN_LIST_H_
#define KVROUTE_ROUTER_PROMPT_TOKEN_LIST_H_

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "indexer/event/event.h"

// Lists of token ids in JSON text: most of the bytes of a body that has its prompt as tokens.
namespace kvroute {

// How reading a list ended.
enum class TokenList : uint8_t { kOk, kNotIntegers, kTooMany };

// The numbers of a raw array of integers; `tokens` is replaced.
TokenList ReadTokenIds(std::string_view raw, size_t max_tokens, std::vector<TokenId>* tokens);

// The same of an array at the beginning of `text`, behind which more may stand; `bytes` is how long
// it is, if kOk.
TokenList ReadTokenListAt(std::string_view text, size_t max_tokens, std::vector<TokenId>* tokens,
                          size_t* bytes);

// The first field of a JSON object that has one of these names and a list of token ids, if it lies
// near the object's beginning: where its value stands in the text, and its tokens. nullopt: none
// was found, or it is not plain enough; that says nothing of the object.
//
// If the rest of the text is JSON once "[]" stands in the list's place, then so is the text.
struct TokenListPlace {
  size_t begin = 0;
  size_t bytes = 0;
};
std::optional<TokenListPlace> FindTokenList(std::string_view object, size_t max_tokens,
                                            std::vector<TokenId>* tokens);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_PROMPT_TOKEN_LIST_H_
