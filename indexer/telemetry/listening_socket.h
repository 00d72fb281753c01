#ifndef KVROUTE_INDEXER_TELEMETRY_LISTENING_SOCKET_H_
#define KVROUTE_INDEXER_TELEMETRY_LISTENING_SOCKET_H_

#include <string>

#include "absl/status/statusor.h"

namespace kvroute {

struct ListeningSocket {
  int fd = -1;  // the caller's to close
  int port = 0;
};

// Binds "host:port", "[v6]:port" or ":port" (every address of the machine) and listens; port 0
// takes a free one, "[::]" hears IPv4 as well. Errors: INVALID_ARGUMENT (no such form, no such
// host) or UNAVAILABLE (in use, not ours), naming the address.
absl::StatusOr<ListeningSocket> Listen(const std::string& address);

// Whether Listen would, but for who uses the port now. Leaves nothing behind; errors as Listen's.
absl::Status CheckListen(const std::string& address);

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_TELEMETRY_LISTENING_SOCKET_H_
