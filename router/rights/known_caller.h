#ifndef KVROUTE_ROUTER_RIGHTS_KNOWN_CALLER_H_
#define KVROUTE_ROUTER_RIGHTS_KNOWN_CALLER_H_

#include <string>
#include <string_view>
#include <vector>

#include "router/rights/rights.h"

namespace kvroute {

// What is known of who calls on one connection, so that the next call need not be looked up: what
// its certificate is granted, and the token that came last. Tokens belong to calls: a proxy may
// send those of several callers over one connection.
//
// A call that the connection's certificate allows costs two comparisons, one with the token that
// came last a comparison of texts besides; neither allocates.
//
// Thread safety: one thread at a time.
class KnownCaller {
 public:
  // Whether a call of it may go on, as Rights::Check. `names` gives the names of the connection's
  // certificate, `authorization` the call's header: each is asked only where it matters.
  template <typename Names, typename Authorization>
  absl::Status Check(Rights* rights, Action action, std::string_view peer, const Names& names,
                     const Authorization& authorization) {
    const uint64_t version = rights->version();
    if (version == 0) return absl::OkStatus();
    if (by_certificate_.version != version) by_certificate_ = rights->Grant(names(), {});
    if (by_certificate_.roles.HasAnyOf(RolesFor(action))) return absl::OkStatus();
    const std::string_view shown = authorization();
    if (shown.empty()) return rights->Check(action, by_certificate_, peer);
    if (by_token_.version != version || !IsLast(shown)) {
      by_token_ = rights->Grant(names(), shown);
      authorization_.assign(shown);
    }
    return rights->Check(action, by_token_, peer);
  }

 private:
  // In constant time, whatever differs.
  bool IsLast(std::string_view authorization) const;

  Granted by_certificate_;
  std::string authorization_;  // as it came last
  Granted by_token_;           // certificate and token together
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_RIGHTS_KNOWN_CALLER_H_
