#include "indexer/base/network_list.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "indexer/base/check.h"
#include "indexer/base/error.h"

namespace kvroute {
namespace {

using Address = std::array<uint8_t, 16>;

constexpr int kBits = 128;
constexpr int kMappedBits = 96;
constexpr std::array<uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr std::array<uint8_t, 12> kNat64 = {0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0};

Address FromV4(const in_addr& v4) {
  Address address{};
  std::copy(kMapped.begin(), kMapped.end(), address.begin());
  std::memcpy(address.data() + kMapped.size(), &v4, sizeof(v4));
  return address;
}

Address FromV6(const in6_addr& v6) {
  Address address{};
  std::memcpy(address.data(), &v6, sizeof(v6));
  if (std::equal(kNat64.begin(), kNat64.end(), address.begin())) {
    std::copy(kMapped.begin(), kMapped.end(), address.begin());
  }
  return address;
}

std::optional<Address> ParseAddress(std::string_view text, bool* is_v4) {
  if (text.size() > 2 && text.front() == '[' && text.back() == ']') {
    text = text.substr(1, text.size() - 2);
  }
  const std::string plain(text.substr(0, text.find('%')));  // an interface says nothing here
  in_addr v4{};
  in6_addr v6{};
  *is_v4 = inet_pton(AF_INET, plain.c_str(), &v4) == 1;
  if (*is_v4) return FromV4(v4);
  if (inet_pton(AF_INET6, plain.c_str(), &v6) == 1) return FromV6(v6);
  return std::nullopt;
}

}  // namespace

absl::StatusOr<NetworkList::Network> NetworkList::ReadNetwork(std::string_view text) {
  const size_t slash = text.find('/');
  bool is_v4 = false;
  const auto address = ParseAddress(text.substr(0, slash), &is_v4);
  int bits = is_v4 ? kBits - kMappedBits : kBits;
  const bool good = slash == std::string_view::npos ||
                    (absl::SimpleAtoi(std::string(text.substr(slash + 1)), &bits) && bits >= 0 &&
                     bits <= (is_v4 ? kBits - kMappedBits : kBits));
  if (address && good) return Network{*address, is_v4 ? kMappedBits + bits : bits};
  return InvalidArgument("\"{}\" is no network, like 10.0.0.0/8 or fd00::/8", text.substr(0, 64));
}

absl::StatusOr<NetworkList> NetworkList::Parse(std::string_view text) {
  NetworkList list;
  const std::vector<std::string> words = absl::StrSplit(std::string(text), ',');
  for (const std::string& word : words) {
    const std::string one(absl::StripAsciiWhitespace(word));
    const absl::StatusOr<Network> network = ReadNetwork(one);
    if (!network.ok()) return network.status();
    list.allowed_.push_back(*network);
    if (!list.text_.empty()) list.text_ += ", ";
    list.text_ += one;
  }
  return list;
}

NetworkList NetworkList::Usual(bool with_loopback) {
  NetworkList list;
  list.allowed_.push_back({});
  list.text_ = "any but ";
  const auto refuse = [&list](std::string_view text) {
    const absl::StatusOr<Network> network = ReadNetwork(text);
    KVROUTE_CHECK(network.ok());
    if (!list.refused_.empty()) list.text_ += ", ";
    list.text_ += text;
    list.refused_.push_back(*network);
  };
  // The last three are where other clouds tell what 169.254.169.254 does.
  for (const char* network :
       {"0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/128", "fe80::/10", "ff00::/8",
        "fd00:ec2::254/128", "fd20:ce::254/128", "100.100.100.200/32"}) {
    refuse(network);
  }
  if (with_loopback) return list;
  refuse("127.0.0.0/8");
  refuse("::1/128");
  return list;
}

bool NetworkList::Has(const std::vector<Network>& networks, const Address& address) {
  return std::any_of(networks.begin(), networks.end(), [&](const Network& network) {
    for (int bit = 0; bit < network.bits; ++bit) {
      const auto byte = static_cast<size_t>(bit / 8);
      const int mask = 0x80 >> (bit % 8);
      if (((network.address[byte] ^ address[byte]) & mask) != 0) return false;
    }
    return true;
  });
}

bool NetworkList::Allows(const Address& address) const {
  return Has(allowed_, address) && !Has(refused_, address);
}

bool NetworkList::Allows(const sockaddr* address) const {
  if (address->sa_family == AF_INET) {
    return Allows(FromV4(reinterpret_cast<const sockaddr_in*>(address)->sin_addr));
  }
  if (address->sa_family != AF_INET6) return false;
  return Allows(FromV6(reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr));
}

bool NetworkList::Allows(std::string_view literal) const {
  bool is_v4 = false;
  const auto address = ParseAddress(literal, &is_v4);
  return address.has_value() && Allows(*address);
}

}  // namespace kvroute
