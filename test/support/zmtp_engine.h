#ifndef KVROUTE_TEST_SUPPORT_ZMTP_ENGINE_H_
#define KVROUTE_TEST_SUPPORT_ZMTP_ENGINE_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "gtest/gtest.h"
#include "indexer/base/check.h"

namespace kvroute::testing_support {

// An engine's socket that speaks ZMTP 3.0 byte by byte, so that a test decides what is in one piece
// and how a connection ends. One connection at a time; one thread.
class ZmtpEngine {
 public:
  // `type`: "PUB", "ROUTER".
  explicit ZmtpEngine(std::string type) : type_(std::move(type)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    KVROUTE_CHECK(bind(listener_, generic, size) == 0 && listen(listener_, 8) == 0);
    KVROUTE_CHECK(getsockname(listener_, generic, &size) == 0);
    endpoint_ = "tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  ~ZmtpEngine() {
    Close();
    close(listener_);
  }
  ZmtpEngine(const ZmtpEngine&) = delete;
  ZmtpEngine& operator=(const ZmtpEngine&) = delete;

  const std::string& endpoint() const { return endpoint_; }

  // Somebody waits to be accepted.
  bool IsCalled() const {
    pollfd item{.fd = listener_, .events = POLLIN, .revents = 0};
    return poll(&item, 1, 0) == 1;
  }
  // Waits for a connection and shakes hands.
  void Accept() {
    Close();
    connection_ = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    ASSERT_GE(connection_, 0);
    using std::string_literals::operator""s;
    std::string greeting = "\xff\0\0\0\0\0\0\0\0\x7f\3\0NULL"s;
    greeting.resize(64);
    Send(greeting);
    ReadBytes(64);
    std::string ready = "\x05READY\x0bSocket-Type\0\0\0"s;
    ready += static_cast<char>(type_.size());
    Send(Frame(kCommand, ready + type_));
    EXPECT_EQ(ReadFrame().substr(0, 6), "\x05READY");
  }
  // The next frame of the peer's: of a subscription the topic behind a byte of 1.
  std::string ReadFrame() {
    const std::string head = ReadBytes(2);
    return head.size() < 2 ? "" : ReadBytes(static_cast<uint8_t>(head[1]));
  }
  void Send(std::string_view bytes) {
    ASSERT_EQ(send(connection_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }

  static std::string Message(std::string_view body) { return Frame(kMessage, body); }
  static std::string Part(std::string_view body) { return Frame(kMore, body); }
  static std::string Ping() { return Frame(kCommand, std::string("\4PING\0\0", 7)); }

  // The end as of a process that is gone with its machine's connections.
  void Reset() {
    const linger none{.l_onoff = 1, .l_linger = 0};
    setsockopt(connection_, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    Close();
  }
  void Close() {
    if (connection_ >= 0) close(connection_);
    connection_ = -1;
  }

 private:
  static constexpr char kMessage = 0, kMore = 1, kCommand = 4;
  // Of up to 255 bytes.
  static std::string Frame(char flags, std::string_view body) {
    return std::string{flags, static_cast<char>(body.size())} + std::string(body);
  }
  std::string ReadBytes(size_t count) {
    std::string bytes(count, '\0');
    const ssize_t got = recv(connection_, bytes.data(), count, MSG_WAITALL);
    EXPECT_EQ(got, static_cast<ssize_t>(count));
    return bytes;
  }

  const std::string type_;
  int listener_ = -1, connection_ = -1;
  std::string endpoint_;
};

}  // namespace kvroute::testing_support

#endif  // KVROUTE_TEST_SUPPORT_ZMTP_ENGINE_H_
