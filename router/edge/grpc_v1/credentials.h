#ifndef KVROUTE_ROUTER_EDGE_GRPC_V1_CREDENTIALS_H_
#define KVROUTE_ROUTER_EDGE_GRPC_V1_CREDENTIALS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace grpc {
class ServerCredentials;
}

namespace kvroute {

// Files in PEM. All empty: plain text. With client_ca, only clients with a certificate signed by it
// are served (mTLS).
struct TlsFiles {
  std::string certificate_file;
  std::string key_file;
  std::string client_ca_file;
};

// nullptr when no certificate is configured: plain text. Errors: INVALID_ARGUMENT names the field
// and the file that cannot be read, is no PEM certificate or key, or does not belong to the other.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerCredentialsFrom(
    const TlsFiles& files);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_V1_CREDENTIALS_H_
