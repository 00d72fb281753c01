#ifndef KVROUTE_TOOLS_CLIENT_SERVER_ADDRESS_H_
#define KVROUTE_TOOLS_CLIENT_SERVER_ADDRESS_H_

#include <string>

#include "absl/status/statusor.h"

namespace kvroute {

// Where a running kvroute is, as a person writes it after --server:
//
//   10.0.0.7:50051   node.example:50051   [::1]:50051   node.example (the default port)
//   :50051           this machine, by whichever family answers
//   http://node:9108/anything   https://node:9108   grpc://node:50051   grpcs://node:50051
//   unix:/run/kvroute/grpc.sock
struct ServerAddress {
  std::string host;       // without brackets; empty: a unix socket
  int port = 0;           // 1 to 65535
  std::string unix_path;  // empty: a host and port
  bool tls = false;

  // "[::1]:50051", "unix:/run/x.sock": what errors name and gRPC takes.
  std::string Text() const;
  // "http://[::1]:9108/status"; `path` begins with a slash.
  std::string Url(const std::string& path) const;
};

// INVALID_ARGUMENT names the flag, the text and what is understood.
absl::StatusOr<ServerAddress> ParseServerAddress(const std::string& flag, const std::string& text,
                                                 int default_port);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_CLIENT_SERVER_ADDRESS_H_
