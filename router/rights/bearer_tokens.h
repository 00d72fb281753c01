#ifndef KVROUTE_ROUTER_RIGHTS_BEARER_TOKENS_H_
#define KVROUTE_ROUTER_RIGHTS_BEARER_TOKENS_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "router/rights/role.h"

namespace kvroute {

// The bearer tokens of a file. A line is a name, its roles and the token or its SHA-256:
//
//   gateway  route           8c1f...                        # as it is sent
//   deploy   register,admin  sha256:9f86d081884c7d65...     # so that the file tells nobody
//
// Empty lines and what follows a # at a line's begin or behind a space are skipped. A name may have
// several tokens: while one is being replaced both are good.
//
// Only hashes are kept. Thread safety: a value.
class BearerTokens {
 public:
  BearerTokens() = default;
  // INVALID_ARGUMENT names the line, the field and the limit, and never the token.
  static absl::StatusOr<BearerTokens> Parse(std::string_view text);

  // Whose it is; nullptr: nobody's. Takes as long whichever it is and whatever it is like: it is
  // compared as a hash, with all of them, to the end.
  struct Token {
    std::string name;
    Roles roles;
    std::array<uint8_t, 32> sha256;
  };
  const Token* Find(std::string_view token) const;

  size_t size() const { return tokens_.size(); }
  bool operator==(const BearerTokens& other) const;

 private:
  std::vector<Token> tokens_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_RIGHTS_BEARER_TOKENS_H_
