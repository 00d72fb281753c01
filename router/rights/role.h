#ifndef KVROUTE_ROUTER_RIGHTS_ROLE_H_
#define KVROUTE_ROUTER_RIGHTS_ROLE_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "indexer/base/enum_names.h"

namespace kvroute {

// What a caller may be allowed, whichever protocol it speaks.
enum class Role : uint8_t { kRoute, kRegister, kAdmin, kMetricsReader };
inline constexpr auto kRoleNames =
    NamesUpTo<Role::kMetricsReader>("route", "register", "admin", "metrics");

// A set of them.
class Roles {
 public:
  constexpr Roles() = default;
  constexpr Roles(std::initializer_list<Role> roles) {
    for (const Role role : roles) bits_ |= BitOf(role);
  }

  constexpr bool empty() const { return bits_ == 0; }
  constexpr bool Has(Role role) const { return (bits_ & BitOf(role)) != 0; }
  constexpr bool HasAnyOf(Roles roles) const { return (bits_ & roles.bits_) != 0; }
  constexpr void Add(Roles roles) { bits_ |= roles.bits_; }
  constexpr bool operator==(const Roles&) const = default;
  // "route, register"; "none".
  std::string Joined() const;

 private:
  static constexpr uint8_t BitOf(Role role) {
    return static_cast<uint8_t>(1u << static_cast<uint8_t>(role));
  }
  uint8_t bits_ = 0;
};

// "route, register", with or without spaces; empty: none. INVALID_ARGUMENT names what is no role.
absl::StatusOr<Roles> ParseRoles(std::string_view text);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_RIGHTS_ROLE_H_
