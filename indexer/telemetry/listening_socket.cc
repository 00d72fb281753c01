#include "indexer/telemetry/listening_socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "indexer/base/error.h"

namespace kvroute {
namespace {

constexpr int kBacklog = 1'024;

struct HostAndPort {
  std::string host;  // empty: every address of the machine
  std::string port;
};

absl::StatusOr<HostAndPort> Split(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon + 1 == address.size()) {
    return InvalidArgument("cannot listen on \"{}\": not host:port", address);
  }
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return HostAndPort{std::move(host), address.substr(colon + 1)};
}

int PortOf(int fd) {
  sockaddr_storage bound{};
  socklen_t size = sizeof(bound);
  getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size);
  return ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port
                                           : reinterpret_cast<sockaddr_in*>(&bound)->sin_port);
}

bool Bind(int fd, const addrinfo& address) {
  const int on = 1, off = 0;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (address.ai_family == AF_INET6) {
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  }
  return bind(fd, address.ai_addr, address.ai_addrlen) == 0;
}

// Of "every address", the IPv6 one hears IPv4 as well; the IPv4 one is for machines without IPv6.
std::vector<const addrinfo*> InOrder(const addrinfo* found, bool v6_first) {
  std::vector<const addrinfo*> order;
  for (; found != nullptr; found = found->ai_next) order.push_back(found);
  if (v6_first) {
    std::stable_partition(order.begin(), order.end(),
                          [](const addrinfo* one) { return one->ai_family == AF_INET6; });
  }
  return order;
}

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

// What `use` makes of the first socket that it can use, or why it can use none. The socket is its.
absl::StatusOr<ListeningSocket> ForEachAddress(
    const std::string& address, const std::function<bool(int fd, const addrinfo& address)>& use) {
  const absl::StatusOr<HostAndPort> parts = Split(address);
  if (!parts.ok()) return parts.status();
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const char* const host = parts->host.empty() ? nullptr : parts->host.c_str();
  if (const int error = getaddrinfo(host, parts->port.c_str(), &hints, &found)) {
    return InvalidArgument("cannot listen on \"{}\": {}", address, gai_strerror(error));
  }
  const Addresses addresses(found, &freeaddrinfo);
  int error = 0;
  for (const addrinfo* one : InOrder(found, /*v6_first=*/host == nullptr)) {
    const int fd = socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && use(fd, *one)) return ListeningSocket{fd, PortOf(fd)};
    error = errno;
    if (fd >= 0) close(fd);
  }
  return Error(absl::StatusCode::kUnavailable, "cannot listen on \"{}\": {}", address,
               std::strerror(error));
}

}  // namespace

absl::StatusOr<ListeningSocket> Listen(const std::string& address) {
  return ForEachAddress(address, [](int fd, const addrinfo& one) {
    return Bind(fd, one) && listen(fd, kBacklog) == 0;
  });
}

absl::Status CheckListen(const std::string& address) {
  const absl::StatusOr<ListeningSocket> bound = ForEachAddress(
      address, [](int fd, const addrinfo& one) { return Bind(fd, one) || errno == EADDRINUSE; });
  if (bound.ok()) close(bound->fd);
  return bound.status();
}

}  // namespace kvroute
