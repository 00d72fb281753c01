// How long connections live: pings of clients, clients that vanish, old connections.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>

#include "test/support/http2_connection.h"
#include "test/support/server_fixture.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing_support::Http2Connection;

enum class PingAnswer { kPong, kGoAway, kClosed };

class ConnectionTimesTest : public ServerTest {
 protected:
  void SetUp() override {}
  void StartWith(const ConnectionTimes& times) {
    GrpcServerOptions options;
    options.times = times;
    Start(options);
  }
  // The answer to one ping, other frames passed over.
  PingAnswer AnswerToPing(Http2Connection* client) {
    constexpr char kPing = 6, kGoAway = 7;
    client->Ping().Flush();
    for (;;) {
      const std::string head = client->raw().Read(9);
      if (head.size() < 9) return PingAnswer::kClosed;
      size_t length = 0;
      for (int i = 0; i < 3; ++i) length = length << 8 | static_cast<uint8_t>(head[i]);
      const std::string payload = client->raw().Read(length);
      if (head[3] == kPing && head[4] == 1) return PingAnswer::kPong;
      if (head[3] != kGoAway) continue;
      said_ = payload;
      return PingAnswer::kGoAway;
    }
  }
  template <typename Condition>
  void Await(Condition condition) {
    while (!condition()) std::this_thread::yield();
  }

  std::string said_;
};

TEST_F(ConnectionTimesTest, WhoKeepsAnIdleConnectionAliveByPingsIsLeftAlone) {
  StartWith({.min_ping_interval = milliseconds(1)});
  Http2Connection idle(server_->port());
  Http2Connection has_stream(server_->port());
  has_stream.Headers(1, "/kvroute.v1.Router/RouteStream");
  for (Http2Connection* client : {&idle, &has_stream}) {
    for (int i = 0; i < 20; ++i) {
      const auto next = std::chrono::steady_clock::now() + milliseconds(3);
      ASSERT_EQ(AnswerToPing(client), PingAnswer::kPong) << i;
      Await([&] { return std::chrono::steady_clock::now() >= next; });
    }
  }
}

// gRPC's own libraries do not allow less than 10 s.
TEST_F(ConnectionTimesTest, ASecondBetweenPingsIsEnough) {
  EXPECT_LE(ConnectionTimes().min_ping_interval, milliseconds(1'000));
}

TEST_F(ConnectionTimesTest, AFloodOfPingsEndsItsConnection) {
  StartWith({});
  Http2Connection client(server_->port());
  PingAnswer last = PingAnswer::kPong;
  for (int i = 0; i < 10 && last == PingAnswer::kPong; ++i) last = AnswerToPing(&client);
  EXPECT_EQ(last, PingAnswer::kGoAway);
  EXPECT_THAT(said_, HasSubstr("too_many_pings"));
}

TEST_F(ConnectionTimesTest, AClientThatHasVanishedLosesItsConnectionAndItsStreams) {
  StartWith({.keepalive_time = milliseconds(20), .keepalive_timeout = milliseconds(20)});
  Http2Connection client(server_->port());  // answers no ping
  client.Headers(1, "/kvroute.v1.Router/RouteStream").Flush();
  EXPECT_TRUE(client.raw().ClosedByPeer());
  Await([&] { return stats_.open_rpc_streams == 0 && stats_.connections == 0; });
}

TEST_F(ConnectionTimesTest, AnOldConnectionIsAskedToGoAndItsStreamHasAGrace) {
  StartWith({.max_age = milliseconds(500), .max_age_grace = milliseconds(200)});
  grpc::ClientContext context;
  const std::unique_ptr<RouteStream> stream = AnsweredStream(&context);
  v1::RouteStreamResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  // The next call makes a new connection.
  grpc::ClientContext again;
  again.set_wait_for_ready(true);
  v1::RouteResponse routed;
  EXPECT_TRUE(router_stub_->Route(&again, Ask(5), &routed).ok());
}

}  // namespace
}  // namespace kvroute
