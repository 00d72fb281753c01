#ifndef KVROUTE_INDEXER_SOURCE_ZMQ_ENDPOINT_H_
#define KVROUTE_INDEXER_SOURCE_ZMQ_ENDPOINT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace kvroute {

// Where an engine's socket is, as configuration and topics write it: tcp://host:port, ipc://path or
// inproc://name. Thread safety: pure functions.

struct TcpEndpoint {
  std::string host;  // a name, or an address without brackets
  uint16_t port = 0;

  bool operator==(const TcpEndpoint&) const = default;
};
// nullopt: of another scheme, without a host, or its port is not 1 to 65535.
std::optional<TcpEndpoint> ParseTcpEndpoint(std::string_view endpoint);
std::string TextOf(const TcpEndpoint& endpoint);

// An IPv4 or IPv6 address (with or without brackets): nobody need be asked for it.
bool IsLiteralAddress(std::string_view host);
// Whether somebody must be asked for the address first.
bool NamesHost(std::string_view endpoint);

// What names of our own begin with, by which libzmq tells of connections: no engine's.
inline constexpr char kMonitorEndpoints[] = "inproc://kvroute-monitor-";

// INVALID_ARGUMENT beginning with `field`: nothing that can be connected to.
absl::Status CheckConnectable(std::string_view field, const std::string& endpoint);

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_ZMQ_ENDPOINT_H_
