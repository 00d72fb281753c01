#ifndef KVROUTE_TOOLS_ASK_PROMPT_TOKENS_H_
#define KVROUTE_TOOLS_ASK_PROMPT_TOKENS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace kvroute {

// "1,2,3", "1 2 3" or a JSON list of numbers, over any number of lines. INVALID_ARGUMENT names
// `what` and the first word that is no token id.
absl::StatusOr<std::vector<uint32_t>> ParseTokens(const std::string& what, const std::string& text);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_ASK_PROMPT_TOKENS_H_
