#include "router/edge/grpc_base/connection.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"

namespace kvroute {
namespace {

std::string_view AddressOf(std::string_view peer) { return peer.substr(0, peer.rfind(':')); }

// Zero is nobody.
uint64_t NumberOf(std::string_view address) { return absl::Hash<std::string_view>()(address) | 1; }

}  // namespace

// An IPv4 client of a socket that listens for both families is an IPv4 client.
std::string PeerName(const sockaddr_storage& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    return absl::StrCat("ipv4:", text.data(), ":", ntohs(v4.sin_port));
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    inet_ntop(AF_INET, v6.sin6_addr.s6_addr + 12, text.data(), text.size());
    return absl::StrCat("ipv4:", text.data(), ":", ntohs(v6.sin6_port));
  }
  inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
  std::string scope;
  if (v6.sin6_scope_id != 0) scope = absl::StrCat("%", v6.sin6_scope_id);
  return absl::StrCat("ipv6:[", text.data(), scope, "]:", ntohs(v6.sin6_port));
}

// gRPC writes "[" and "]" and "%" as %5B, %5D and %25.
std::string PeerName(std::string_view grpc_peer) {
  std::string name;
  for (size_t i = 0; i < grpc_peer.size(); ++i) {
    const std::string_view rest = grpc_peer.substr(i);
    const bool escaped =
        rest.size() >= 3 &&
        (rest.substr(0, 3) == "%5B" || rest.substr(0, 3) == "%5D" || rest.substr(0, 3) == "%25");
    if (escaped) {
      name += rest[2] == 'B' ? '[' : rest[2] == 'D' ? ']' : '%';
      i += 2;
    } else {
      name += grpc_peer[i];
    }
  }
  return name;
}

Connection::Connection(uint64_t number, std::string peer, int fd, size_t listener)
    : peer_(std::move(peer)),
      client_{number, NumberOf(AddressOf(peer_))},
      listener_(listener),
      fd_(fd) {}

Connection::~Connection() { Close(); }

bool Connection::Cut() {
  MutexLock lock(&mutex_);
  if (fd_ >= 0) {
    // A reset, not an orderly end: the kernel keeps nothing for a peer that may not read, either.
    const linger none{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    shutdown(fd_, SHUT_RDWR);
  }
  return !std::exchange(cut_, true);
}

std::optional<TcpReading> Connection::Read() const {
  MutexLock lock(&mutex_);
  tcp_info info{};
  socklen_t size = sizeof(info);
  int unread = 0;
  if (fd_ < 0 || getsockopt(fd_, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
      ioctl(fd_, SIOCOUTQ, &unread) != 0) {
    return std::nullopt;
  }
  return TcpReading{info.tcpi_bytes_received, info.tcpi_bytes_acked, static_cast<uint64_t>(unread)};
}

void Connection::Close() {
  MutexLock lock(&mutex_);
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

}  // namespace kvroute
