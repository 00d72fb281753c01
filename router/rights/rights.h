#ifndef KVROUTE_ROUTER_RIGHTS_RIGHTS_H_
#define KVROUTE_ROUTER_RIGHTS_RIGHTS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "indexer/base/enum_names.h"
#include "indexer/base/log.h"
#include "indexer/base/mutex.h"
#include "indexer/telemetry/exposition.h"
#include "router/rights/action.h"
#include "router/rights/bearer_tokens.h"
#include "router/rights/certificate_grant.h"

namespace kvroute {

// Who may what, as it is configured. All of it empty: everybody may everything.
struct RightsOptions {
  std::string token_file = {};  // as BearerTokens reads it; empty: no tokens
  std::vector<CertificateGrant> certificates = {};
  std::string everybody = {};  // roles of whoever reaches a port, as ParseRoles reads them
};
// INVALID_ARGUMENT names the field, its value and what may stand there.
absl::Status CheckRights(const RightsOptions& options);

// What a caller has shown.
enum class Shown : uint8_t { kNothing, kCertificate, kToken, kUnknownToken, kNoBearer };

// What a caller is granted for what it has shown, as long as Rights::version is `version`.
struct Granted {
  uint64_t version = 0;  // of no rights
  Roles roles;
  Shown shown = Shown::kNothing;
};

// Why a call was refused.
enum class RightsRefusal : uint8_t { kNoCredentials, kUnknownToken, kNoBearer, kMissingRole };
inline constexpr auto kRightsRefusalNames = NamesUpTo<RightsRefusal::kMissingRole>(
    "no_credentials", "unknown_token", "no_bearer", "missing_role");

// Who may what. An edge looks up once what a caller is granted for what it shows, and keeps that
// until version() is another; then a call costs a comparison.
//
// Thread safety: every method from any thread; only Grant and the setters take a lock, for a
// moment. Errors: UNAUTHENTICATED: nothing good was shown; PERMISSION_DENIED: it does not have the
// role. Both name the action and the roles, and neither the token.
class Rights {
 public:
  // Nothing is configured.
  Rights() = default;

  // What everybody and what certificates are granted; `options` must be good (CheckRights).
  void SetOptions(const RightsOptions& options);
  // The text of the token file, or why there is none: then, and where it cannot be read, the tokens
  // before stay good, which is counted. From the first time on tokens are asked for.
  absl::Status SetTokens(const absl::StatusOr<std::string>& text);

  // Changes with every change; 0: nothing is configured, everybody may everything.
  uint64_t version() const { return version_.load(std::memory_order_acquire); }
  bool configured() const { return version() != 0; }

  // `certificate_names`: of the certificate that the caller's connection has shown and that was
  // verified. `authorization`: the header of that name; empty: none.
  Granted Grant(absl::Span<const std::string_view> certificate_names,
                std::string_view authorization) const;
  // Of a caller called `peer`, which may be granted something else again by now. Refusals are
  // counted, and logged once a second at most.
  absl::Status Check(Action action, const Granted& granted, std::string_view peer);

  struct Report {
    bool configured = false;
    size_t tokens = 0;
    size_t certificates = 0;
    Roles everybody;
    uint64_t tokens_applied = 0;  // changes of the token file
    uint64_t tokens_refused = 0;
  };
  Report GetReport() const;
  // "whoever reaches a port may do everything it serves", or what there is.
  std::string Summary() const;
  void AddMetrics(Exposition* out) const;

 private:
  struct Pattern {
    std::string name;
    Roles roles;
  };
  void NextVersion() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Refuse(Action action, RightsRefusal why, const Granted& granted,
                      std::string_view peer);

  mutable Mutex mutex_;
  bool has_token_file_ ABSL_GUARDED_BY(mutex_) = false;
  BearerTokens tokens_ ABSL_GUARDED_BY(mutex_);
  std::vector<Pattern> certificates_ ABSL_GUARDED_BY(mutex_);
  Roles everybody_ ABSL_GUARDED_BY(mutex_);
  uint64_t changes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t tokens_applied_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t tokens_refused_ ABSL_GUARDED_BY(mutex_) = 0;
  std::atomic<uint64_t> version_{0};
  std::array<std::array<std::atomic<uint64_t>, kRightsRefusalNames.size()>, kActionCount>
      refused_{};
  LogLimiter refused_log_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_RIGHTS_RIGHTS_H_
