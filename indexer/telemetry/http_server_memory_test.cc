// The system has less memory than bodies may take. In a process of its own, with little address
// space.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "indexer/telemetry/http_server.h"
#include "test/support/http_client.h"
#include "test/support/sanitized.h"

namespace kvroute {
namespace {

using testing_support::HttpGet;
using testing_support::SendAndKeep;

constexpr uint64_t kMiB = uint64_t{1} << 20;

void LimitAddressSpace(uint64_t more) {
  std::ifstream in("/proc/self/statm");
  uint64_t pages = 0;
  in >> pages;
  const rlim_t bytes = pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) + more;
  const rlimit limit{bytes, bytes};
  if (setrlimit(RLIMIT_AS, &limit) != 0) std::_Exit(2);
}

// Until the server ends the connection; false: it took all of it.
bool IsCutOff(int fd, uint64_t bytes) {
  const std::string piece(kMiB, 'x');
  for (uint64_t sent = 0; sent < bytes;) {
    const ssize_t more = send(fd, piece.data(), piece.size(), MSG_NOSIGNAL);
    if (more <= 0) return true;
    sent += static_cast<uint64_t>(more);
  }
  return false;
}

[[noreturn]] void PostMoreThanThereIsMemoryFor() {
  HttpServer::Pages pages;
  pages["/ok"] = {.handler = [] { return HttpResponse{.body = "fine"}; }};
  pages["/take"] = {.posted = [](const HttpCall&) { return HttpResponse(); }};
  auto server = HttpServer::Start(
      {.listen = "127.0.0.1:0", .max_body_bytes = 512 * kMiB, .max_bodies_bytes = 512 * kMiB},
      std::move(pages));
  if (!server.ok()) std::_Exit(3);
  const int port = (*server)->port();
  if (HttpGet(port, "/ok").status != 200) std::_Exit(4);  // its threads have what they need
  LimitAddressSpace(160 * kMiB);
  const int fd =
      SendAndKeep(port, "POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: 400000000\r\n\r\n");
  if (!IsCutOff(fd, 400'000'000)) std::_Exit(5);
  close(fd);
  std::_Exit(HttpGet(port, "/ok").body == "fine" ? 0 : 6);
}

TEST(HttpServerMemoryDeathTest, ABodyThatThereIsNoMemoryForCostsItsConnection) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer takes address space of its own";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(PostMoreThanThereIsMemoryFor(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace kvroute
