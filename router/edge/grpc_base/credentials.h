#ifndef KVROUTE_ROUTER_EDGE_GRPC_BASE_CREDENTIALS_H_
#define KVROUTE_ROUTER_EDGE_GRPC_BASE_CREDENTIALS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace grpc {
class ServerCredentials;
}

namespace kvroute {

// Files in PEM. All empty: plain text. With client_ca, a client's certificate must be signed by it
// (mTLS), and it must have one unless client_certificate_required is false.
struct TlsFiles {
  std::string certificate_file;
  std::string key_file;
  std::string client_ca_file;
  bool client_certificate_required = true;
};

// A certificate and its key, in PEM.
struct SelfSigned {
  std::string certificate;
  std::string key;
};
// Made now; nobody has signed it. UNAVAILABLE: OpenSSL makes none.
absl::StatusOr<SelfSigned> MakeSelfSigned();
// With such a one: for clients that do not look.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> SelfSignedCredentials();

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_BASE_CREDENTIALS_H_
