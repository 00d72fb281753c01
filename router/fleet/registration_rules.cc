#include "router/fleet/registration_rules.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "indexer/base/error.h"

namespace kvroute {
namespace {

// Of "tcp://host:port", "http://host:port/path", "host:port"; IPv6 with its brackets.
std::string_view HostOf(std::string_view place) {
  if (const size_t scheme = place.find("://"); scheme != std::string_view::npos) {
    place.remove_prefix(scheme + 3);
  }
  place = place.substr(0, place.find('/'));
  if (const size_t user = place.rfind('@'); user != std::string_view::npos) {
    place.remove_prefix(user + 1);
  }
  if (place.starts_with('[')) return place.substr(0, place.find(']') + 1);
  return place.substr(0, place.rfind(':'));
}

bool IsAddress(std::string_view host) {
  static const NetworkList any = *NetworkList::Parse("0.0.0.0/0, ::/0");
  return any.Allows(host);
}

bool IsHttp(std::string_view address) {
  const bool other_scheme = address.find("://") != std::string_view::npos &&
                            !address.starts_with("http://") && !address.starts_with("https://");
  return !other_scheme && address.find(':') != std::string_view::npos;
}

absl::Status CheckHost(const RegistrationRules& rules, std::string_view field,
                       std::string_view value) {
  const std::string_view host = HostOf(value);
  if (IsAddress(host)) {
    if (rules.networks.Allows(host)) return absl::OkStatus();
    return InvalidArgument("{}: \"{}\" is not in registration.networks: {}", field, value,
                           rules.networks.text());
  }
  const std::string name = absl::AsciiStrToLower(std::string(host));
  const bool named =
      rules.names.empty() ||
      std::any_of(rules.names.begin(), rules.names.end(), [&](const std::string& allowed) {
        return allowed.starts_with('.') ? name.ends_with(allowed) : name == allowed;
      });
  if (named) return absl::OkStatus();
  return InvalidArgument("{}: \"{}\" ends in none of registration.names: {}", field, value,
                         fmt::join(rules.names, ", "));
}

absl::Status CheckEndpoint(const RegistrationRules& rules, std::string_view field,
                           std::string_view endpoint) {
  if (endpoint.empty()) return absl::OkStatus();
  if (endpoint.starts_with("tcp://")) return CheckHost(rules, field, endpoint);
  if (rules.networks.AllowsLoopback()) return absl::OkStatus();
  return InvalidArgument("{}: \"{}\" is this machine's, which is not in registration.networks: {}",
                         field, endpoint, rules.networks.text());
}

absl::Status CheckAddress(const RegistrationRules& rules, std::string_view field,
                          std::string_view address) {
  if (address.empty() || !IsHttp(address)) return absl::OkStatus();  // nobody asks it
  return CheckHost(rules, field, address);
}

}  // namespace

absl::StatusOr<std::vector<std::string>> RegistrationRules::ParseNames(const std::string& text) {
  std::vector<std::string> names;
  const std::vector<std::string> words = absl::StrSplit(text, ',', absl::SkipWhitespace());
  for (const std::string& word : words) {
    std::string name = absl::AsciiStrToLower(absl::StripAsciiWhitespace(word));
    const bool good = name != "." && std::all_of(name.begin(), name.end(), [](char c) {
                        return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' ||
                               c == '-' || c == '_';
                      });
    if (!good) return InvalidArgument("\"{}\" is no host name and no suffix of one", word);
    names.push_back(std::move(name));
  }
  return names;
}

absl::Status RegistrationRules::Check(const WorkerSpec& spec) const {
  KVROUTE_RETURN_IF_ERROR(CheckEndpoint(*this, "event_endpoint", spec.event_endpoint));
  KVROUTE_RETURN_IF_ERROR(CheckEndpoint(*this, "replay_endpoint", spec.replay_endpoint));
  KVROUTE_RETURN_IF_ERROR(CheckAddress(*this, "address", spec.address));
  for (const RankEndpoints& rank : spec.rank_overrides) {
    KVROUTE_RETURN_IF_ERROR(
        CheckEndpoint(*this, "rank_overrides.event_endpoint", rank.event_endpoint));
    KVROUTE_RETURN_IF_ERROR(
        CheckEndpoint(*this, "rank_overrides.replay_endpoint", rank.replay_endpoint));
    KVROUTE_RETURN_IF_ERROR(CheckAddress(*this, "rank_overrides.address", rank.address));
  }
  return absl::OkStatus();
}

}  // namespace kvroute
