#ifndef KVROUTE_TOOLS_CLIENT_CLIENT_OPTIONS_H_
#define KVROUTE_TOOLS_CLIENT_CLIENT_OPTIONS_H_

#include <chrono>
#include <string>

#include "absl/status/statusor.h"
#include "tools/client/server_address.h"

namespace kvroute {

// How a client shows who it is, and what it takes a server for.
struct ClientSecurity {
  std::string ca_file;           // PEM; empty: the system's, where the address says TLS
  std::string certificate_file;  // PEM, its own; empty: none
  std::string key_file;
  std::string token_file;  // a bearer token; empty: none
};

struct ClientOptions {
  ServerAddress server;
  ClientSecurity security;
  std::chrono::milliseconds timeout{10'000};  // of one call
};

// The token without the white space around it; empty: none is given. INVALID_ARGUMENT names the
// file.
absl::StatusOr<std::string> ReadToken(const ClientSecurity& security);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_CLIENT_CLIENT_OPTIONS_H_
