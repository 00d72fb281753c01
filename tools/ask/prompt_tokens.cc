#include "tools/ask/prompt_tokens.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "indexer/base/error.h"

namespace kvroute {

absl::StatusOr<std::vector<uint32_t>> ParseTokens(const std::string& what,
                                                  const std::string& text) {
  std::vector<uint32_t> tokens;
  for (const absl::string_view word :
       absl::StrSplit(text, absl::ByAnyChar(", \t\r\n[]"), absl::SkipEmpty())) {
    uint32_t token = 0;
    if (!absl::SimpleAtoi(word, &token)) {
      return InvalidArgument("{}: \"{}\" is no token id", what, std::string(word.substr(0, 64)));
    }
    tokens.push_back(token);
  }
  if (tokens.empty()) return InvalidArgument("{}: there are no token ids", what);
  return tokens;
}

}  // namespace kvroute
