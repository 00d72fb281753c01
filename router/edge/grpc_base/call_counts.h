#ifndef KVROUTE_ROUTER_EDGE_GRPC_BASE_CALL_COUNTS_H_
#define KVROUTE_ROUTER_EDGE_GRPC_BASE_CALL_COUNTS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

// What gRPC counts of each connection, also of calls that it never shows to a service because they
// are cancelled first. It tells them in its channelz, as JSON.
//
// Thread safety: every function from any thread.
namespace kvroute {

// Of one connection since it began.
struct CallCounts {
  uint64_t begun = 0;
  uint64_t answered = 0;
  uint64_t cancelled = 0;  // or failed: ended without an answer

  uint64_t open() const {
    const uint64_t ended = answered + cancelled;
    return begun > ended ? begun - ended : 0;
  }
};

// gRPC's number of a connection.
using SocketNumber = int64_t;

// Calls `each` with the connections of all gRPC servers of this process whose number is at least
// `first`; `peer` is in gRPC's words.
void ListSockets(SocketNumber first,
                 const std::function<void(SocketNumber, std::string_view peer)>& each);
// nullopt: it is closed.
std::optional<CallCounts> ReadCallCounts(SocketNumber socket);

// What the two read out of channelz's JSON: the values of every `"field":"value"`, in their order;
// and a number that is 0 when it is missing.
void ForEachValue(std::string_view json, std::string_view field,
                  const std::function<void(std::string_view)>& each);
uint64_t NumberIn(std::string_view json, std::string_view field);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_BASE_CALL_COUNTS_H_
