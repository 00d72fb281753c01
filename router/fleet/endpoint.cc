#include "router/fleet/endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace kvroute {
namespace {

// Longest texts of addresses: what is longer is none.
constexpr size_t kMaxIpText = INET6_ADDRSTRLEN;

// nullopt: no address. What a scope ("%eth0") names is known on one machine only.
std::optional<Endpoint> ParseIp(std::string_view text) {
  if (text.empty() || text.size() >= kMaxIpText || text.find('\0') != std::string_view::npos) {
    return std::nullopt;
  }
  char zero_ended[kMaxIpText];
  std::memcpy(zero_ended, text.data(), text.size());
  zero_ended[text.size()] = '\0';
  Endpoint endpoint;
  if (text.find(':') != std::string_view::npos) {
    if (inet_pton(AF_INET6, zero_ended, endpoint.ip.data()) != 1) return std::nullopt;
    return endpoint;
  }
  endpoint.ip[10] = endpoint.ip[11] = 0xff;
  if (inet_pton(AF_INET, zero_ended, endpoint.ip.data() + 12) != 1) return std::nullopt;
  return endpoint;
}

std::optional<uint16_t> ParsePort(std::string_view text) {
  const bool digits =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  uint32_t port = 0;
  if (!digits || text.size() > 5 ||
      !absl::SimpleAtoi(absl::string_view(text.data(), text.size()), &port) || port == 0 ||
      port > 65'535) {
    return std::nullopt;
  }
  return static_cast<uint16_t>(port);
}

// Takes "[" and "]" off an IPv6 address; empty: there are none.
std::string_view WithoutBrackets(std::string_view text) {
  const bool has = text.size() > 2 && text.front() == '[' && text.back() == ']';
  return has ? text.substr(1, text.size() - 2) : std::string_view();
}

}  // namespace

std::string Endpoint::Text() const {
  const bool v4 = std::all_of(ip.begin(), ip.begin() + 10, [](uint8_t b) { return b == 0; }) &&
                  ip[10] == 0xff && ip[11] == 0xff;
  char text[kMaxIpText] = {};
  if (v4) {
    inet_ntop(AF_INET, ip.data() + 12, text, sizeof(text));
    return absl::StrCat(text, ":", port);
  }
  inet_ntop(AF_INET6, ip.data(), text, sizeof(text));
  return absl::StrCat("[", text, "]:", port);
}

std::optional<Endpoint> ParseEndpoint(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const std::optional<uint16_t> port = ParsePort(text.substr(colon + 1));
  if (const std::string_view v6 = WithoutBrackets(host); !v6.empty()) {
    if (v6.find(':') == std::string_view::npos) return std::nullopt;
    host = v6;
  } else if (host.find(':') != std::string_view::npos) {
    return std::nullopt;
  }
  std::optional<Endpoint> endpoint = ParseIp(host);
  if (!endpoint || !port) return std::nullopt;
  endpoint->port = *port;
  return endpoint;
}

std::optional<Endpoint> ParseEndpointOrHost(std::string_view text) {
  if (const auto endpoint = ParseEndpoint(text)) return endpoint;
  const std::string_view inner = WithoutBrackets(text);
  return ParseIp(inner.empty() ? text : inner);
}

std::optional<Endpoint> EndpointOfAddress(std::string_view address) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (address.substr(0, scheme.size()) == scheme) address.remove_prefix(scheme.size());
  }
  while (!address.empty() && address.back() == '/') address.remove_suffix(1);
  return ParseEndpoint(address);
}

}  // namespace kvroute
