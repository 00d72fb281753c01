#include "tools/client/client_options.h"

#include "absl/strings/ascii.h"
#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "indexer/base/read_file.h"

namespace kvroute {

absl::StatusOr<std::string> ReadToken(const ClientSecurity& security) {
  if (security.token_file.empty()) return std::string();
  const absl::StatusOr<std::string> text = ReadFile(security.token_file, limits::kMaxKeyFileBytes);
  if (!text.ok()) return InvalidArgument("--token-file: {}", MessageOf(text.status()));
  const std::string token(absl::StripAsciiWhitespace(*text));
  if (token.empty() || !IsOneLine(token)) {
    return InvalidArgument("--token-file: {}: holds no token of one line", security.token_file);
  }
  return token;
}

}  // namespace kvroute
