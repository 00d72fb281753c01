#ifndef KVROUTE_INDEXER_BASE_NETWORK_LIST_H_
#define KVROUTE_INDEXER_BASE_NETWORK_LIST_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

struct sockaddr;

namespace kvroute {

// Networks that may be connected to. An IPv4 address inside an IPv6 one (mapped, or NAT64's) is
// that IPv4 address. Thread safety: a value.
class NetworkList {
 public:
  // "10.0.0.0/8, fd00::/8, 192.0.2.7". INVALID_ARGUMENT names what is no network.
  static absl::StatusOr<NetworkList> Parse(std::string_view text);
  // Any but those that no engine of another machine is at: link-local (where clouds tell instances
  // their secrets), multicast, the unspecified address; and loopback, unless `with_loopback`.
  static NetworkList Usual(bool with_loopback);

  bool Allows(const sockaddr* address) const;
  // Of an address as text, with or without brackets; false: it is none.
  bool Allows(std::string_view literal) const;
  bool AllowsLoopback() const { return Allows("127.0.0.1"); }

  // "10.0.0.0/8, fd00::/8"; "any but 169.254.0.0/16, ...".
  const std::string& text() const { return text_; }

 private:
  using Address = std::array<uint8_t, 16>;  // IPv4 as mapped
  struct Network {
    Address address{};
    int bits = 0;  // of the 128
  };
  static absl::StatusOr<Network> ReadNetwork(std::string_view text);
  static bool Has(const std::vector<Network>& networks, const Address& address);
  bool Allows(const Address& address) const;

  std::vector<Network> allowed_, refused_;
  std::string text_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_NETWORK_LIST_H_
