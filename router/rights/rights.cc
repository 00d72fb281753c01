#include "router/rights/rights.h"

#include <utility>

#include "absl/strings/match.h"
#include "indexer/base/clock.h"
#include "indexer/base/error.h"
#include "indexer/base/error_reason.h"

namespace kvroute {
namespace {

constexpr std::string_view kBearer = "Bearer ";

// Of "Bearer <token>", in any letter case.
std::optional<std::string_view> TokenIn(std::string_view authorization) {
  const bool bearer =
      authorization.size() > kBearer.size() &&
      absl::EqualsIgnoreCase(std::string(authorization.substr(0, kBearer.size())), "bearer ");
  if (!bearer) return std::nullopt;
  const size_t begin = authorization.find_first_not_of(' ', kBearer.size());
  return begin == std::string_view::npos ? std::nullopt
                                         : std::optional(authorization.substr(begin));
}

std::string Needed(Action action) {
  const Roles roles = RolesFor(action);
  const std::string names = roles.Joined();
  return names.find(',') == std::string::npos ? "the role " + names : "one of the roles " + names;
}

std::string_view WhatIsWrong(RightsRefusal why) {
  switch (why) {
    case RightsRefusal::kNoCredentials:
      return "no token was shown, and no certificate that is granted one";
    case RightsRefusal::kUnknownToken:
      return "the token that was shown is not known";
    case RightsRefusal::kNoBearer:
      return "authorization is not \"Bearer\" and a token";
    case RightsRefusal::kMissingRole:
      break;
  }
  return "the caller has";
}

}  // namespace

absl::Status CheckRights(const RightsOptions& options) {
  for (const CertificateGrant& grant : options.certificates) {
    KVROUTE_RETURN_IF_ERROR(CheckGrant(grant));
  }
  const absl::StatusOr<Roles> everybody = ParseRoles(options.everybody);
  if (everybody.ok()) return absl::OkStatus();
  return InvalidArgument("everybody: {}", MessageOf(everybody.status()));
}

void Rights::SetOptions(const RightsOptions& options) {
  std::vector<Pattern> certificates;
  for (const CertificateGrant& grant : options.certificates) {
    certificates.push_back({grant.name, ParseRoles(grant.roles).value_or(Roles())});
  }
  MutexLock lock(&mutex_);
  certificates_ = std::move(certificates);
  everybody_ = ParseRoles(options.everybody).value_or(Roles());
  NextVersion();
}

absl::Status Rights::SetTokens(const absl::StatusOr<std::string>& text) {
  absl::StatusOr<BearerTokens> tokens =
      text.ok() ? BearerTokens::Parse(*text) : absl::StatusOr<BearerTokens>(text.status());
  MutexLock lock(&mutex_);
  const bool first = !std::exchange(has_token_file_, true);
  if (first) NextVersion();
  if (!tokens.ok()) {
    ++tokens_refused_;
    return InvalidArgument("rights.token_file: {}", MessageOf(tokens.status()));
  }
  if (*tokens == tokens_) return absl::OkStatus();
  tokens_ = *std::move(tokens);
  if (!first) ++tokens_applied_;
  NextVersion();
  return absl::OkStatus();
}

void Rights::NextVersion() {
  ++changes_;
  const bool any = has_token_file_ || !certificates_.empty() || !everybody_.empty();
  version_.store(any ? changes_ : 0, std::memory_order_release);
}

Granted Rights::Grant(absl::Span<const std::string_view> certificate_names,
                      std::string_view authorization) const {
  MutexLock lock(&mutex_);
  Granted granted{.version = version_.load(std::memory_order_relaxed), .roles = everybody_};
  for (const Pattern& pattern : certificates_) {
    for (const std::string_view name : certificate_names) {
      if (!NameMatches(pattern.name, name)) continue;
      granted.roles.Add(pattern.roles);
      granted.shown = Shown::kCertificate;
    }
  }
  if (authorization.empty()) return granted;
  // Beside a certificate that is granted something another's token does no harm.
  const bool alone = granted.shown == Shown::kNothing;
  const std::optional<std::string_view> token = TokenIn(authorization);
  if (!token) {
    if (alone) granted.shown = Shown::kNoBearer;
  } else if (const BearerTokens::Token* known = tokens_.Find(*token)) {
    granted.roles.Add(known->roles);
    granted.shown = Shown::kToken;
  } else if (alone) {
    granted.shown = Shown::kUnknownToken;
  }
  return granted;
}

absl::Status Rights::Check(Action action, const Granted& granted, std::string_view peer) {
  const Roles needed = RolesFor(action);
  if (needed.empty() || granted.roles.HasAnyOf(needed)) return absl::OkStatus();
  if (!configured()) return absl::OkStatus();
  switch (granted.shown) {
    case Shown::kNothing:
      return Refuse(action, RightsRefusal::kNoCredentials, granted, peer);
    case Shown::kUnknownToken:
      return Refuse(action, RightsRefusal::kUnknownToken, granted, peer);
    case Shown::kNoBearer:
      return Refuse(action, RightsRefusal::kNoBearer, granted, peer);
    case Shown::kCertificate:
    case Shown::kToken:
      break;
  }
  return Refuse(action, RightsRefusal::kMissingRole, granted, peer);
}

absl::Status Rights::Refuse(Action action, RightsRefusal why, const Granted& granted,
                            std::string_view peer) {
  refused_[static_cast<size_t>(action)][static_cast<size_t>(why)].fetch_add(
      1, std::memory_order_relaxed);
  if (const uint64_t lines = refused_log_.Admit(Clock::Real().Monotonic())) {
    LogWarning("rights: {} refused to {}: {} ({} alike held back)", kActionNames[action], peer,
               kRightsRefusalNames[why], lines - 1);
  }
  const std::string roles = RolesFor(action).Joined();
  if (why == RightsRefusal::kMissingRole) {
    return WithReason(
        Error(absl::StatusCode::kPermissionDenied, "{}: needs {}; {} {}", kActionNames[action],
              Needed(action), WhatIsWrong(why), granted.roles.Joined()),
        ErrorReason::kPermissionDenied, {{"roles", roles}});
  }
  return WithReason(Error(absl::StatusCode::kUnauthenticated, "{}: needs {}; {}",
                          kActionNames[action], Needed(action), WhatIsWrong(why)),
                    ErrorReason::kUnauthenticated, {{"roles", roles}});
}

Rights::Report Rights::GetReport() const {
  MutexLock lock(&mutex_);
  return {.configured = version_.load(std::memory_order_relaxed) != 0,
          .tokens = tokens_.size(),
          .certificates = certificates_.size(),
          .everybody = everybody_,
          .tokens_applied = tokens_applied_,
          .tokens_refused = tokens_refused_};
}

std::string Rights::Summary() const {
  const Report report = GetReport();
  if (!report.configured) {
    return "none are configured: whoever reaches a port may do everything it serves";
  }
  return fmt::format("{} tokens, {} names of certificates; everybody: {}", report.tokens,
                     report.certificates, report.everybody.Joined());
}

void Rights::AddMetrics(Exposition* out) const {
  for (size_t action = 0; action < kActionCount; ++action) {
    for (size_t why = 0; why < kRightsRefusalNames.size(); ++why) {
      const uint64_t count = refused_[action][why].load(std::memory_order_relaxed);
      if (count == 0) continue;
      out->Add(Metric::kRightsRefused,
               {kActionNames[static_cast<Action>(action)],
                kRightsRefusalNames[static_cast<RightsRefusal>(why)]},
               static_cast<double>(count));
    }
  }
  const Report report = GetReport();
  if (!report.configured) return;
  out->Add(Metric::kTokenChanges, {"applied"}, static_cast<double>(report.tokens_applied));
  out->Add(Metric::kTokenChanges, {"refused"}, static_cast<double>(report.tokens_refused));
}

}  // namespace kvroute
