// A port scan of `kvroute serve` without a word: nothing but loopback.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "test/support/child_process.h"

namespace kvroute {
namespace {

using testing::HasSubstr;

// The local addresses of listening TCP sockets, in the kernel's hexadecimal.
std::vector<std::string> Listening(pid_t pid, const std::string& table) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/net/" + table);
  std::vector<std::string> found;
  std::string line;
  std::getline(in, line);  // the head
  while (std::getline(in, line)) {
    std::istringstream words(line);
    std::string number, local, remote, state;
    words >> number >> local >> remote >> state;
    if (state == "0A") found.push_back(local);
  }
  return found;
}

// In a network of its own, where its ports are free and nobody else listens.
bool EnterOwnNetwork() {
  if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return false;
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq loopback{};
  std::strcpy(loopback.ifr_name, "lo");
  loopback.ifr_flags = IFF_UP;
  const bool is_up = ioctl(fd, SIOCSIFFLAGS, &loopback) == 0;
  close(fd);
  return is_up;
}

TEST(DefaultPorts, AreTheLoopbacks) {
  if (!EnterOwnNetwork()) GTEST_SKIP() << "this machine gives no network namespace";
  ChildProcess process({"serve"});
  EXPECT_THAT(process.ReadLine(), HasSubstr("grpc=127.0.0.1:50051 http=127.0.0.1:9108"));
  const std::vector<std::string> v4 = Listening(process.pid(), "tcp");
  EXPECT_GE(v4.size(), 2u);
  for (const std::string& local : v4) EXPECT_EQ(local.substr(0, 8), "0100007F") << local;
  for (const std::string& local : Listening(process.pid(), "tcp6")) {
    EXPECT_EQ(local.substr(0, 32), "00000000000000000000000001000000") << local;
  }
  EXPECT_THAT(process.ReadStderr(),
              HasSubstr("rights: none are configured: whoever reaches a port may do everything"));
}

TEST(DefaultPorts, WhatIsOpenedInPlainTextIsSaid) {
  ChildProcess process({"serve", "--grpc-listen", "127.0.0.1:0", "--http-listen", "0.0.0.0:0"});
  EXPECT_THAT(process.ReadLine(), HasSubstr("http=0.0.0.0:"));
  EXPECT_THAT(process.ReadStderr(), HasSubstr("http.listen: 0.0.0.0:0: plain text"));
}

}  // namespace
}  // namespace kvroute
