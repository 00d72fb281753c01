#include "router/config/registration.h"

#include "indexer/base/error.h"
#include "router/config/config_sections.h"
#include "router/config/plaintext_fields.h"

namespace kvroute {

void VisitRegistration(FieldVisitor* v, RegistrationConfig* registration) {
  v->Text(
      {"networks",
       "Where workers may be that clients register: networks with commas, 10.0.0.0/8, fd00::/8; "
       "addresses behind names included. Empty: any, but link-local and multicast ones, and "
       "loopback where other machines reach the API."},
      {}, &registration->networks);
  v->Text({"names",
           "Their host names, or suffixes of such that begin with a dot, with commas. Empty: any."},
          {}, &registration->names);
  v->Check([registration]() -> absl::Status {
    if (registration->networks.empty()) return absl::OkStatus();
    const auto networks = NetworkList::Parse(registration->networks);
    if (networks.ok()) return absl::OkStatus();
    return InvalidArgument("networks: {}", MessageOf(networks.status()));
  });
  v->Check([registration]() -> absl::Status {
    const auto names = RegistrationRules::ParseNames(registration->names);
    if (names.ok()) return absl::OkStatus();
    return InvalidArgument("names: {}", MessageOf(names.status()));
  });
}

RegistrationRules RegistrationRulesOf(const ServeConfig& config) {
  const bool local =
      IsLoopbackAddress(config.grpc.listen) &&
      (config.http_json.listen.empty() || IsLoopbackAddress(config.http_json.listen));
  RegistrationRules rules{.networks = NetworkList::Usual(local), .names = {}};
  const RegistrationConfig& given = config.registration;
  if (!given.networks.empty()) {
    rules.networks = NetworkList::Parse(given.networks).value_or(NetworkList());
  }
  rules.names = RegistrationRules::ParseNames(given.names).value_or(std::vector<std::string>());
  return rules;
}

}  // namespace kvroute
