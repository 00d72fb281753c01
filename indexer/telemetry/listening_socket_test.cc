#include "indexer/telemetry/listening_socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace kvroute {
namespace {

using testing::HasSubstr;

bool Connects(int family, int port) {
  const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(static_cast<uint16_t>(port));
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = v4.sin_port;
  v6.sin6_addr = in6addr_loopback;
  const bool connected = family == AF_INET
                             ? connect(fd, reinterpret_cast<sockaddr*>(&v4), sizeof(v4)) == 0
                             : connect(fd, reinterpret_cast<sockaddr*>(&v6), sizeof(v6)) == 0;
  close(fd);
  return connected;
}

bool HasV6() {
  const auto v6 = Listen("[::1]:0");
  if (v6.ok()) close(v6->fd);
  return v6.ok();
}

TEST(ListeningSocketTest, APortAloneHearsBothFamilies) {
  const auto socket = Listen(":0");
  ASSERT_TRUE(socket.ok()) << socket.status();
  EXPECT_TRUE(Connects(AF_INET, socket->port));
  if (HasV6()) {
    EXPECT_TRUE(Connects(AF_INET6, socket->port));
  }
  close(socket->fd);
}

TEST(ListeningSocketTest, AnIpv6AddressHearsIpv6) {
  if (!HasV6()) GTEST_SKIP() << "this machine has no IPv6";
  const auto socket = Listen("[::1]:0");
  ASSERT_TRUE(socket.ok()) << socket.status();
  EXPECT_TRUE(Connects(AF_INET6, socket->port));
  close(socket->fd);
}

TEST(ListeningSocketTest, APortInUseIsSaidAndIsNoMistakeOfTheConfiguration) {
  const auto first = Listen("127.0.0.1:0");
  ASSERT_TRUE(first.ok()) << first.status();
  const std::string address = absl::StrCat("127.0.0.1:", first->port);
  const auto second = Listen(address);
  EXPECT_EQ(second.status().message(),
            absl::StrCat("cannot listen on \"", address, "\": Address already in use"));
  EXPECT_TRUE(CheckListen(address).ok());
  close(first->fd);
  EXPECT_TRUE(CheckListen(address).ok());
  const auto third = Listen(address);
  ASSERT_TRUE(third.ok()) << "the check has left nothing behind";
  close(third->fd);
}

TEST(ListeningSocketTest, AddressesThatAreNotOfThisMachineAreRefused) {
  for (const char* address : {"192.0.2.1:0", "nothing", "", "host:", "no-such-host.invalid:1"}) {
    EXPECT_FALSE(Listen(address).ok()) << address;
    EXPECT_FALSE(CheckListen(address).ok()) << address;
  }
  EXPECT_THAT(std::string(CheckListen("192.0.2.1:0").message()), HasSubstr("192.0.2.1:0"));
}

}  // namespace
}  // namespace kvroute
