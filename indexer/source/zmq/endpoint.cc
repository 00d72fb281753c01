#include "indexer/source/zmq/endpoint.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include "absl/strings/numbers.h"
#include "indexer/base/error.h"

namespace kvroute {
namespace {

constexpr std::string_view kTcp = "tcp://";
constexpr std::string_view kIpc = "ipc://";
constexpr std::string_view kInproc = "inproc://";

// Addresses to bind, which can never be connected to.
bool IsWildcard(std::string_view host) {
  return host == "*" || host == "0.0.0.0" || host == "::" || host == "[::]";
}

bool IsAddress(int family, std::string_view host) {
  unsigned char bytes[sizeof(in6_addr)];
  return inet_pton(family, std::string(host).c_str(), bytes) == 1;
}

}  // namespace

std::optional<TcpEndpoint> ParseTcpEndpoint(std::string_view endpoint) {
  if (!endpoint.starts_with(kTcp)) return std::nullopt;
  endpoint.remove_prefix(kTcp.size());
  const size_t colon = endpoint.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  std::string_view host = endpoint.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  uint32_t port = 0;
  const std::string digits(endpoint.substr(colon + 1));
  if (!absl::SimpleAtoi(digits, &port) || port == 0 || port > UINT16_MAX) return std::nullopt;
  return TcpEndpoint{std::string(host), static_cast<uint16_t>(port)};
}

std::string TextOf(const TcpEndpoint& endpoint) {
  const bool brackets = endpoint.host.find(':') != std::string::npos;
  return brackets ? fmt::format("tcp://[{}]:{}", endpoint.host, endpoint.port)
                  : fmt::format("tcp://{}:{}", endpoint.host, endpoint.port);
}

bool IsLiteralAddress(std::string_view host) {
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return IsAddress(AF_INET, host) || IsAddress(AF_INET6, host.substr(0, host.find('%')));
}

bool NamesHost(std::string_view endpoint) {
  const std::optional<TcpEndpoint> tcp = ParseTcpEndpoint(endpoint);
  return tcp.has_value() && !IsLiteralAddress(tcp->host);
}

absl::Status CheckConnectable(std::string_view field, const std::string& endpoint) {
  const std::string_view text = endpoint;
  if (const std::optional<TcpEndpoint> tcp = ParseTcpEndpoint(text)) {
    // libzmq looks for it among the machine's interfaces, and ends the process when it cannot.
    if (tcp->host.find(';') != std::string::npos) {
      return InvalidArgument("{}: \"{}\" names an address to connect from, which cannot be chosen",
                             field, endpoint);
    }
    if (!IsWildcard(tcp->host)) return absl::OkStatus();
    return InvalidArgument(
        "{}: \"{}\" is where an engine binds; kvroute connects to it: name the engine's host",
        field, endpoint);
  }
  // Who connects there takes the place of the lane that watches the connections of another stream.
  if (text.starts_with(kMonitorEndpoints)) {
    return InvalidArgument("{}: \"{}\" is kvroute's own", field, endpoint);
  }
  const bool ipc = text.starts_with(kIpc) && text.size() > kIpc.size() &&
                   text.size() < kIpc.size() + sizeof(sockaddr_un::sun_path);
  if (ipc || (text.starts_with(kInproc) && text.size() > kInproc.size())) return absl::OkStatus();
  return InvalidArgument(
      "{}: cannot connect to \"{}\": it is not tcp://host:port, ipc://path or inproc://name", field,
      endpoint);
}

}  // namespace kvroute
