#include "router/rights/certificate_grant.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "indexer/base/error.h"
#include "router/rights/role.h"

namespace kvroute {
namespace {

bool IsUri(std::string_view name) { return name.find("://") != std::string_view::npos; }

bool SameDns(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return absl::ascii_tolower(static_cast<unsigned char>(x)) ==
                  absl::ascii_tolower(static_cast<unsigned char>(y));
         });
}

// "spiffe://prod/ns/*" without the star; a path that climbs is nobody's.
bool UriIsBelow(std::string_view folder, std::string_view uri) {
  return uri.size() > folder.size() && uri.starts_with(folder) &&
         uri.find("/../") == std::string_view::npos && !uri.ends_with("/..");
}

// "*.gateways.svc": the first label of `name` may be any.
bool DnsIsBelow(std::string_view suffix, std::string_view name) {
  const size_t dot = name.find('.');
  return dot != std::string_view::npos && dot != 0 && SameDns(suffix, name.substr(dot));
}

}  // namespace

absl::Status CheckGrant(const CertificateGrant& grant) {
  const std::string_view name = grant.name;
  const bool plain = std::all_of(name.begin(), name.end(),
                                 [](char c) { return c > ' ' && c < '\x7f' && c != ','; });
  if (name.empty() || !plain) {
    return InvalidArgument("name: \"{}\" is no DNS name and no URI", grant.name);
  }
  if (const size_t star = name.find('*'); star != std::string_view::npos) {
    const bool last = star == name.size() - 1 && IsUri(name) && name.ends_with("/*") &&
                      name.find("://") + 3 < star - 1;
    const bool first = star == 0 && !IsUri(name) && name.size() > 2 && name[1] == '.' &&
                       name.find('*', 1) == name.npos;
    if (!last && !first) {
      return InvalidArgument(
          "name: \"{}\": a star may stand for the first label of a DNS name (*.example.org) or "
          "behind the last slash of a URI's path (spiffe://example.org/ns/*)",
          grant.name);
    }
  }
  const absl::StatusOr<Roles> roles = ParseRoles(grant.roles);
  if (!roles.ok()) return InvalidArgument("roles: {}", MessageOf(roles.status()));
  if (roles->empty()) return absl::InvalidArgumentError("roles: none is named");
  return absl::OkStatus();
}

bool NameMatches(std::string_view pattern, std::string_view name) {
  if (IsUri(pattern) != IsUri(name)) return false;
  if (!IsUri(pattern)) {
    return pattern.starts_with("*.") ? DnsIsBelow(pattern.substr(1), name) : SameDns(pattern, name);
  }
  if (!pattern.ends_with("/*")) return pattern == name;
  return UriIsBelow(pattern.substr(0, pattern.size() - 1), name);
}

}  // namespace kvroute
