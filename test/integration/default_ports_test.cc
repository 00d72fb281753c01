// A port scan of `kvroute serve` without a word: nothing but loopback.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

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
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return false;
  return std::system("ip link set lo up 2> /dev/null") == 0;
}

TEST(DefaultPorts, AreTheLoopbacks) {
  if (!EnterOwnNetwork()) GTEST_SKIP() << "no network namespace, or no ip(8), on this machine";
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
