#include "router/rights/bearer_tokens.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_split.h"
#include "indexer/base/api_limits.h"
#include "indexer/base/check.h"
#include "indexer/base/error.h"

namespace kvroute {
namespace {

using Hash = std::array<uint8_t, 32>;

constexpr std::string_view kHashed = "sha256:";

Hash HashOf(std::string_view token) {
  Hash hash{};
  unsigned int size = hash.size();
  KVROUTE_CHECK(EVP_Digest(token.data(), token.size(), hash.data(), &size, EVP_sha256(), nullptr));
  return hash;
}

bool IsVisible(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

// Without what follows a #.
std::string_view WithoutComment(std::string_view line) {
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '#' && (i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t')) {
      return line.substr(0, i);
    }
  }
  return line;
}

absl::StatusOr<Hash> ReadToken(const std::string& word) {
  if (std::string_view(word).starts_with(kHashed)) {
    const std::string hex = word.substr(kHashed.size());
    const bool is_hex = hex.size() == 64 && std::all_of(hex.begin(), hex.end(), [](char c) {
                          return absl::ascii_isxdigit(static_cast<unsigned char>(c));
                        });
    if (!is_hex) return absl::InvalidArgumentError("token: sha256: needs 64 hexadecimal digits");
    const std::string bytes = absl::HexStringToBytes(hex);
    Hash hash{};
    std::copy(bytes.begin(), bytes.end(), hash.begin());
    return hash;
  }
  if (word.size() < limits::kMinTokenBytes || word.size() > limits::kMaxTokenBytes ||
      !IsVisible(word)) {
    return InvalidArgument("token: {} bytes; it must have {} to {}, printable ASCII", word.size(),
                           limits::kMinTokenBytes, limits::kMaxTokenBytes);
  }
  return HashOf(word);
}

absl::StatusOr<BearerTokens::Token> ReadLine(std::string_view line) {
  const std::vector<std::string> words =
      absl::StrSplit(std::string(line), absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
  if (words.size() < 3) {
    return InvalidArgument("{} words; a line is a name, its roles and the token", words.size());
  }
  // Roles may have spaces behind their commas.
  std::string roles_text;
  for (size_t i = 1; i + 1 < words.size(); ++i) roles_text += words[i] + ' ';
  if (words[0].size() > limits::kMaxTokenNameBytes || !IsVisible(words[0])) {
    return InvalidArgument("name: {} bytes; the limit is {}, printable ASCII", words[0].size(),
                           limits::kMaxTokenNameBytes);
  }
  // What stands there may be a token that is in the wrong place: it is not quoted.
  const absl::StatusOr<Roles> roles = ParseRoles(roles_text);
  if (!roles.ok()) {
    return InvalidArgument("roles: they are no list of {}", kRoleNames.Joined());
  }
  absl::StatusOr<Hash> hash = ReadToken(words.back());
  if (!hash.ok()) return hash.status();
  return BearerTokens::Token{words[0], *roles, *hash};
}

}  // namespace

absl::StatusOr<BearerTokens> BearerTokens::Parse(std::string_view text) {
  BearerTokens list;
  size_t number = 0;
  while (!text.empty()) {
    ++number;
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = WithoutComment(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    absl::StatusOr<Token> token = ReadLine(line);
    if (!token.ok()) return InvalidArgument("line {}: {}", number, MessageOf(token.status()));
    if (list.size() == limits::kMaxTokens) {
      return InvalidArgument("line {}: more than {} tokens", number, limits::kMaxTokens);
    }
    for (const Token& other : list.tokens_) {
      if (other.sha256 == token->sha256) {
        return InvalidArgument("line {}: the token of \"{}\" again", number, other.name);
      }
    }
    list.tokens_.push_back(*std::move(token));
  }
  return list;
}

const BearerTokens::Token* BearerTokens::Find(std::string_view token) const {
  if (token.size() > limits::kMaxTokenBytes) return nullptr;
  const Hash hash = HashOf(token);
  const Token* found = nullptr;
  for (const Token& known : tokens_) {
    if (CRYPTO_memcmp(known.sha256.data(), hash.data(), hash.size()) == 0) found = &known;
  }
  return found;
}

bool BearerTokens::operator==(const BearerTokens& other) const {
  return std::equal(tokens_.begin(), tokens_.end(), other.tokens_.begin(), other.tokens_.end(),
                    [](const Token& a, const Token& b) {
                      return a.name == b.name && a.roles == b.roles && a.sha256 == b.sha256;
                    });
}

}  // namespace kvroute
