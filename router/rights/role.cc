#include "router/rights/role.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "indexer/base/error.h"

namespace kvroute {

std::string Roles::Joined() const {
  std::string joined;
  for (size_t i = 0; i < kRoleNames.size(); ++i) {
    const Role role = static_cast<Role>(i);
    if (!Has(role)) continue;
    if (!joined.empty()) joined += ", ";
    joined += kRoleNames[role];
  }
  return joined.empty() ? "none" : joined;
}

absl::StatusOr<Roles> ParseRoles(std::string_view text) {
  Roles roles;
  if (text.find_first_not_of(" \t") == std::string_view::npos) return roles;
  const std::vector<std::string> words = absl::StrSplit(std::string(text), ',');
  for (const std::string& word : words) {
    const std::string name(absl::StripAsciiWhitespace(word));
    const std::optional<Role> role = kRoleNames.Parse(name);
    if (!role) {
      return InvalidArgument("\"{}\" is not one of {}", name.substr(0, 64), kRoleNames.Joined());
    }
    roles.Add({*role});
  }
  return roles;
}

}  // namespace kvroute
