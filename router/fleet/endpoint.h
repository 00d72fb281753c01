#ifndef KVROUTE_ROUTER_FLEET_ENDPOINT_H_
#define KVROUTE_ROUTER_FLEET_ENDPOINT_H_

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kvroute {

// Where an engine serves HTTP, as gateways name it: an IP address and a port.
struct Endpoint {
  std::array<uint8_t, 16> ip{};  // of IPv4 the mapped address
  uint16_t port = 0;             // 0: any, which only a restriction may say

  auto operator<=>(const Endpoint&) const = default;  // NOLINT(modernize-use-nullptr): no pointer
  // "10.0.0.7:8000", "[fd00::7]:8000"
  std::string Text() const;
};

// "10.0.0.7:8000" or "[fd00::7]:8000". nullopt: anything else, a host name too.
std::optional<Endpoint> ParseEndpoint(std::string_view text);
// The same, or an address without a port ("10.0.0.7", "fd00::7", "[fd00::7]"): that of any port.
std::optional<Endpoint> ParseEndpointOrHost(std::string_view text);
// Of a worker's address as it was registered: an endpoint, or a URL of one
// ("http://10.0.0.7:8000/").
std::optional<Endpoint> EndpointOfAddress(std::string_view address);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_ENDPOINT_H_
