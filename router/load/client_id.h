#ifndef KVROUTE_ROUTER_LOAD_CLIENT_ID_H_
#define KVROUTE_ROUTER_LOAD_CLIENT_ID_H_

#include <cstdint>

namespace kvroute {

// Who asks, as an edge knows it: a number of its own for each connection, never used twice, and one
// for the address that the connection comes from. All zero: nobody in particular, e.g. a caller
// inside the process.
struct ClientId {
  uint64_t connection = 0;
  uint64_t address = 0;
  uint64_t stream = 0;  // of a call that is a stream of requests, a number of its own; else 0

  bool operator==(const ClientId&) const = default;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_LOAD_CLIENT_ID_H_
