#ifndef KVROUTE_ROUTER_RIGHTS_ACTION_H_
#define KVROUTE_ROUTER_RIGHTS_ACTION_H_

#include <cstdint>

#include "indexer/base/enum_names.h"
#include "router/rights/role.h"

namespace kvroute {

// Everything that can be asked of kvroute, by whichever protocol: what it is in logs and metrics,
// and which roles may do it. A call that says nothing is kUnnamed, which is the administrator's: a
// method that is forgotten here is closed, not open.
enum class Action : uint8_t {
  kUnnamed,
  kRoute,
  kScore,
  kComplete,
  kExplain,
  kRegister,
  kDeregister,
  kSetDraining,
  kList,
  kWatch,
  kRadix,       // SMG's RadixIndex
  kPick,        // the endpoint picker's streams
  kReflection,  // which services and messages there are
  kProbe,       // health, liveness, readiness
  kMetricsPage,
  kStatusPage
};
inline constexpr auto kActionNames = NamesUpTo<Action::kStatusPage>(
    "unnamed", "Route", "Score", "Complete", "Explain", "Register", "Deregister", "SetDraining",
    "List", "Watch", "RadixIndex", "Process", "ServerReflectionInfo", "probe", "metrics", "status");
inline constexpr size_t kActionCount = kActionNames.size();

// The roles any one of which is enough; none: everybody may.
constexpr Roles RolesFor(Action action) {
  switch (action) {
    case Action::kRoute:
    case Action::kScore:
    case Action::kComplete:
    case Action::kRadix:
    case Action::kPick:
      return {Role::kRoute};
    case Action::kRegister:
    case Action::kDeregister:
    case Action::kSetDraining:
      return {Role::kRegister};
    case Action::kList:
    case Action::kWatch:
      return {Role::kRoute, Role::kRegister, Role::kAdmin};
    case Action::kMetricsPage:
      return {Role::kMetricsReader};
    case Action::kStatusPage:
      return {Role::kMetricsReader, Role::kAdmin};
    case Action::kReflection:
    case Action::kProbe:
      return {};
    case Action::kExplain:
    case Action::kUnnamed:
      break;
  }
  return {Role::kAdmin};
}

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_RIGHTS_ACTION_H_
