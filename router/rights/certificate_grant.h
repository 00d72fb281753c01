#ifndef KVROUTE_ROUTER_RIGHTS_CERTIFICATE_GRANT_H_
#define KVROUTE_ROUTER_RIGHTS_CERTIFICATE_GRANT_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace kvroute {

// Roles for whoever shows a certificate with such a name.
struct CertificateGrant {
  // A name of its subject alternative names, DNS or URI: as it is; "*.gateways.svc": any DNS name
  // that has one more label in front; "spiffe://prod/ns/inference/*": any URI that has more behind
  // the slash. A star stands nowhere else, and for nothing less.
  std::string name;
  std::string roles;  // as ParseRoles reads them
};

// INVALID_ARGUMENT names the field (name, roles) and what is wrong with it.
absl::Status CheckGrant(const CertificateGrant& grant);

// Whether a certificate's name is one that `pattern` means. DNS names are alike in upper and lower
// case; URIs are not.
bool NameMatches(std::string_view pattern, std::string_view name);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_RIGHTS_CERTIFICATE_GRANT_H_
