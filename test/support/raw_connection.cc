#include "test/support/raw_connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "indexer/base/check.h"

namespace kvroute::testing_support {
namespace {

constexpr std::chrono::minutes kPatience{1};

}  // namespace

RawConnection::RawConnection(int port) { KVROUTE_CHECK(Connect(port, kPatience)); }

std::optional<RawConnection> RawConnection::Try(int port, std::chrono::milliseconds patience) {
  RawConnection connection;
  if (!connection.Connect(port, patience)) return std::nullopt;
  return connection;
}

bool RawConnection::Connect(int port, std::chrono::milliseconds patience) {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return false;
  const timeval limit{.tv_sec = patience.count() / 1'000,
                      .tv_usec = patience.count() % 1'000 * 1'000};
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));  // of connect too
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
}

RawConnection::~RawConnection() {
  if (fd_ >= 0) close(fd_);
}

RawConnection::RawConnection(RawConnection&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

bool RawConnection::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return errno == EPIPE || errno == ECONNRESET;  // the peer may have closed it
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

std::string RawConnection::ReadUntil(std::string_view end) {
  std::string all;
  std::array<char, 4096> buffer;
  while (all.find(end) == std::string::npos) {
    const ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
    if (got <= 0) break;
    all.append(buffer.data(), static_cast<size_t>(got));
  }
  return all;
}

std::string RawConnection::Read(size_t bytes) {
  std::string all(bytes, '\0');
  size_t at = 0;
  while (at < bytes) {
    const ssize_t got = recv(fd_, all.data() + at, bytes - at, 0);
    if (got <= 0) break;
    at += static_cast<size_t>(got);
  }
  all.resize(at);
  return all;
}

bool RawConnection::ClosedByPeer() {
  std::array<char, 65536> buffer;
  while (true) {
    const ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
    if (got == 0) return true;
    if (got < 0) return errno == ECONNRESET;
  }
}

}  // namespace kvroute::testing_support
