// What a person is told when nobody is there, and how soon.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/client/api_client.h"
#include "tools/client/scrape.h"

namespace kvroute {
namespace {

using testing::HasSubstr;

ClientOptions At(const std::string& address) {
  return {.server = *ParseServerAddress("--server", address, 1), .security = {}};
}

// A port of the loopback that nobody listens on, or somebody who never says a word.
class Port {
 public:
  explicit Port(bool listens) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    bind(fd_, reinterpret_cast<sockaddr*>(&address), size);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    if (listens) listen(fd_, 8);
  }
  ~Port() { close(fd_); }
  std::string Address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  const int fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int port_ = 0;
};

TEST(ReachTest, AClosedPortIsNamedAndRefused) {
  const Port port(/*listens=*/false);
  const auto api = ApiClient::Create(At(port.Address()));
  ASSERT_TRUE(api.ok());
  const absl::Status status = (*api)->Connect(std::chrono::milliseconds(300));
  EXPECT_EQ(status.message(), port.Address() + ": cannot be reached: Connection refused");
  const auto page = FetchPage(At(port.Address()), "/metrics");
  EXPECT_THAT(std::string(page.status().message()),
              HasSubstr("http://" + port.Address() + "/metrics: "));
}

TEST(ReachTest, APortThatSpeaksNoGrpcIsSaid) {
  const Port port(/*listens=*/true);
  const auto api = ApiClient::Create(At(port.Address()));
  const absl::Status status = (*api)->Connect(std::chrono::milliseconds(300));
  EXPECT_EQ(status.message(),
            port.Address() + ": cannot be reached: nothing there speaks gRPC, or nothing is there");
}

TEST(ReachTest, FilesThatCannotBeUsedAreNamed) {
  ClientOptions options = At("grpcs://127.0.0.1:1");
  options.security.ca_file = "/no/such/file";
  EXPECT_THAT(std::string(ApiClient::Create(options).status().message()),
              HasSubstr("--ca-file: /no/such/file: "));
  options = At("127.0.0.1:1");
  options.security.token_file = "/proc/self/cmdline";  // zero bytes between its words
  EXPECT_THAT(std::string(ApiClient::Create(options).status().message()),
              HasSubstr("--token-file: /proc/self/cmdline: holds no token"));
  EXPECT_THAT(std::string(FetchPage(options, "/").status().message()), HasSubstr("--token-file: "));
}

}  // namespace
}  // namespace kvroute
