// An I/O thread that works is not taken for one that stands, however long.
#include "indexer/source/zmq/io_watch.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#include <vector>

#include "indexer/base/clock.h"

namespace kvroute {
namespace {

// Of this process.
std::vector<sockaddr_in> ListeningAddresses() {
  std::vector<sockaddr_in> found;
  for (int fd = 0; fd < 1'024; ++fd) {
    int listens = 0;
    socklen_t size = sizeof(listens);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0) continue;
    sockaddr_in address{};
    size = sizeof(address);
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) continue;
    if (address.sin_family == AF_INET) found.push_back(address);
  }
  return found;
}

bool IsConnectedWithin(std::chrono::milliseconds patience, const sockaddr_in& address) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  bool connected = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  pollfd item{fd, POLLOUT, 0};
  connected |= poll(&item, 1, static_cast<int>(patience.count())) > 0 &&
               (item.revents & (POLLERR | POLLHUP)) == 0;
  close(fd);
  return connected;
}

void WaitForWords(const IoWatch& watch, uint64_t enough) {
  const Nanos began = Clock::Real().Monotonic();
  while (watch.words() < enough) {
    ASSERT_LT(Clock::Real().Monotonic() - began, std::chrono::minutes(1)) << watch.words();
    std::this_thread::yield();
  }
}

// Whoever is on the same machine finds the port; a connection would take a descriptor.
TEST(IoWatchTest, NobodyElseIsLetIn) {
  const auto sockets = *SocketContext::Open(2);
  IngestCounters counters;
  SocketBudget budget({.sockets = 100, .descriptors = 100}, &counters);
  const auto watch = *IoWatch::Start(sockets.get(), &budget, 2);
  const std::vector<sockaddr_in> ports = ListeningAddresses();
  ASSERT_EQ(ports.size(), 2u);
  for (const sockaddr_in& port : ports) {
    EXPECT_FALSE(IsConnectedWithin(std::chrono::milliseconds(100), port));
  }
  WaitForWords(*watch, watch->words() + 2);
}

TEST(IoWatchTest, WordsGoOnComing) {
  constexpr uint64_t kEnough = 3;
  const auto sockets = *SocketContext::Open(1);
  IngestCounters counters;
  SocketBudget budget({.sockets = 100, .descriptors = 100}, &counters);
  const auto watch = *IoWatch::Start(sockets.get(), &budget, 1);
  WaitForWords(*watch, kEnough);
  std::vector<ThreadAge> ages;
  watch->AddAges(&ages);
  ASSERT_EQ(ages.size(), 1u);
  EXPECT_EQ(ages[0].name, "zmq-io-0");
}

}  // namespace
}  // namespace kvroute
