#ifndef KVROUTE_ROUTER_SERVE_CREDENTIALS_H_
#define KVROUTE_ROUTER_SERVE_CREDENTIALS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "router/config/serve_config.h"

namespace grpc {
class ServerCredentials;
}

namespace kvroute {

// nullptr when no certificate is configured: plain text. Errors: INVALID_ARGUMENT names the field
// and the file that cannot be read, is no PEM certificate or key, or does not belong to the other.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerCredentialsFrom(
    const TlsFiles& files);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_SERVE_CREDENTIALS_H_
