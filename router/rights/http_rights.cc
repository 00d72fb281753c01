#include "router/rights/http_rights.h"

#include <string>
#include <utility>

#include "indexer/base/error.h"

namespace kvroute {
namespace {

// RFC 6750: what to show next time, and what was wrong with what was shown.
std::string ChallengeOf(Action action, const Granted& granted, bool forbidden) {
  std::string challenge = "Bearer realm=\"kvroute\", scope=\"" + RolesFor(action).Joined() + '"';
  if (forbidden) return challenge + ", error=\"insufficient_scope\"";
  if (granted.shown == Shown::kUnknownToken) return challenge + ", error=\"invalid_token\"";
  if (granted.shown == Shown::kNoBearer) return challenge + ", error=\"invalid_request\"";
  return challenge;
}

}  // namespace

std::function<std::optional<HttpResponse>(const HttpCaller&)> RefusalOf(Rights* rights,
                                                                        Action action) {
  if (rights == nullptr) return nullptr;
  return [rights, action](const HttpCaller& caller) -> std::optional<HttpResponse> {
    if (!rights->configured()) return std::nullopt;
    const Granted granted = rights->Grant(caller.certificate_names, caller.authorization);
    const absl::Status may = rights->Check(action, granted, caller.peer);
    if (may.ok()) return std::nullopt;
    const bool forbidden = may.code() == absl::StatusCode::kPermissionDenied;
    HttpResponse response{.status = forbidden ? 403 : 401, .body = ""};
    response.body.append(MessageOf(may)).append("\n");
    response.authenticate = ChallengeOf(action, granted, forbidden);
    return response;
  };
}

}  // namespace kvroute
