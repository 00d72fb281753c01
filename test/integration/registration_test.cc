// A client of the API names where kvroute should connect: it does so within registration.networks.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "kvroute/v1/fleet.grpc.pb.h"
#include "test/support/http_client.h"
#include "test/support/server_process.h"

namespace kvroute {
namespace {

using testing::HasSubstr;
using testing_support::HttpGet;
using testing_support::ServerProcess;

// A service of this machine that nobody should be made to talk to.
class Victim {
 public:
  Victim() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(listen(fd_, 16), 0);
    socklen_t size = sizeof(address);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~Victim() { close(fd_); }
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;

  int port() const { return port_; }
  bool was_connected_to() const {
    pollfd item{.fd = fd_, .events = POLLIN, .revents = 0};
    return poll(&item, 1, 0) > 0;
  }

 private:
  const int fd_;
  int port_ = 0;
};

class RegistrationTest : public testing::Test {
 protected:
  void Start(const std::vector<std::string>& flags) {
    auto started = ServerProcess::Start(flags);
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
    fleet_ = v1::Fleet::NewStub(
        grpc::CreateChannel(server_->grpc_address(), grpc::InsecureChannelCredentials()));
  }
  grpc::Status Register(const std::string& events, const std::string& replay,
                        const std::string& address) {
    v1::RegisterRequest request;
    request.mutable_worker()->set_worker_id("w");
    request.mutable_worker()->set_model("m");
    request.mutable_worker()->set_address(address);
    request.mutable_worker()->set_event_endpoint(events);
    request.mutable_worker()->set_replay_endpoint(replay);
    grpc::ClientContext context;
    v1::RegisterResponse response;
    return fleet_->Register(&context, request, &response);
  }
  // Until /status says so of the worker's stream.
  bool AwaitStatus(const std::function<bool(const nlohmann::json&)>& is_so) const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (std::chrono::steady_clock::now() < deadline) {
      const auto status =
          nlohmann::json::parse(HttpGet(server_->http_port(), "/status").body, nullptr, false);
      if (is_so(status["workers"][0]["streams"][0])) return true;
    }
    return false;
  }

  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<v1::Fleet::Stub> fleet_;
};

TEST_F(RegistrationTest, AnAddressOutsideIsRefused) {
  Start({"--set", "registration.networks=10.0.0.0/8"});
  const grpc::Status metadata = Register("tcp://169.254.169.254:80", "", "http://10.0.0.7:1");
  EXPECT_EQ(metadata.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(metadata.error_message(), HasSubstr("event_endpoint"));
  EXPECT_THAT(metadata.error_message(), HasSubstr("registration.networks: 10.0.0.0/8"));
  EXPECT_THAT(Register("tcp://10.0.0.7:1", "tcp://127.0.0.1:2", "x").error_message(),
              HasSubstr("replay_endpoint"));
  EXPECT_THAT(Register("tcp://10.0.0.7:1", "", "http://127.0.0.1:2").error_message(),
              HasSubstr("address"));
}

TEST_F(RegistrationTest, MetadataAddressesAreRefusedWithoutAList) {
  Start({});
  EXPECT_EQ(Register("tcp://169.254.169.254:80", "", "x").error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(RegistrationTest, ANameThatStandsForAnAddressOutsideIsNotConnectedTo) {
  const Victim events, replay, pages;
  Start({"--set", "registration.networks=10.0.0.0/8", "--set", "scrape.interval=100ms"});
  const grpc::Status named = Register(absl::StrCat("tcp://localhost:", events.port()),
                                      absl::StrCat("tcp://localhost:", replay.port()),
                                      absl::StrCat("http://localhost:", pages.port()));
  ASSERT_TRUE(named.ok()) << named.error_message();
  EXPECT_TRUE(AwaitStatus(
      [](const nlohmann::json& stream) { return stream["connect_trouble"] == "not_allowed"; }));
  EXPECT_TRUE(AwaitStatus([](const nlohmann::json& stream) {
    return stream["engine"].is_object() && stream["engine"]["health"] == "does_not_answer";
  }));
  EXPECT_FALSE(events.was_connected_to());
  EXPECT_FALSE(replay.was_connected_to());
  EXPECT_FALSE(pages.was_connected_to());
}

}  // namespace
}  // namespace kvroute
