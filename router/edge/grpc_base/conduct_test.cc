// When a connection is cut off, and the counts that this is judged by.
#include "router/edge/grpc_base/conduct.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <optional>
#include <string>
#include <vector>

#include "indexer/base/limits.h"

namespace kvroute {
namespace {

constexpr uint64_t kTurnsASecond = std::chrono::seconds(1) / kTurn;

class ConductTest : public testing::Test {
 protected:
  // Judges the reading as it is now for so many turns; the reason and the turn it was given at.
  std::optional<ConnectionEnd> For(uint64_t turns, auto change) {
    for (turns_ = 1; turns_ <= turns; ++turns_) {
      change(&now_);
      if (const auto end = conduct_.Judge(now_)) return end;
    }
    return std::nullopt;
  }

  Conduct conduct_{{.max_open_calls = 1'000, .write_timeout = std::chrono::seconds(10)}};
  Conduct::Reading now_;
  uint64_t turns_ = 0;
};

TEST_F(ConductTest, ABusyHonestClientMayGoOn) {
  EXPECT_EQ(For(600,
                [](Conduct::Reading* now) {
                  now->tcp.bytes_received += 1'000'000;
                  now->tcp.bytes_acked += 1'000'000;
                  now->tcp.bytes_unread = 100'000;
                  now->calls.begun += 8'000;
                  now->calls.answered = now->calls.begun - 900;
                }),
            std::nullopt);
}

TEST_F(ConductTest, SoMayAnIdleOneThatHasCallsOpen) {
  now_.calls.begun = 300;
  now_.calls_at_edge = 300;
  EXPECT_EQ(For(10'000, [](Conduct::Reading* now) { now->tcp.bytes_received += 17; }),
            std::nullopt);
}

TEST_F(ConductTest, CallsMayBeCancelledUpToARate) {
  const uint64_t a_turn = limits::kMaxCancelledCallsPerSecond / kTurnsASecond;
  const auto cancel = [](uint64_t calls) {
    return [calls](Conduct::Reading* now) {
      now->calls.begun += calls;
      now->calls.cancelled += calls;
    };
  };
  EXPECT_EQ(For(600, cancel(a_turn)), std::nullopt);
  EXPECT_EQ(For(600, cancel(2 * a_turn)), ConnectionEnd::kCancelledCalls);
  EXPECT_LE(turns_, kTurnsASecond);
}

TEST_F(ConductTest, MoreOpenCallsThanTheClientWasToldAreTooMany) {
  now_.calls_at_edge = now_.calls.begun = 1'000;
  EXPECT_EQ(For(3, [](Conduct::Reading*) {}), std::nullopt);
  now_.calls_at_edge = now_.calls.begun = 1'001;
  EXPECT_EQ(For(1, [](Conduct::Reading*) {}), ConnectionEnd::kTooManyCalls);
}

TEST_F(ConductTest, BytesThatThePeerDoesNotTakeAreWaitedForOnlySoLong) {
  now_.tcp.bytes_unread = 1;
  EXPECT_EQ(For(1'000, [](Conduct::Reading*) {}), ConnectionEnd::kUnreadAnswers);
  EXPECT_NEAR(static_cast<double>(turns_), 100, 1);
}

TEST_F(ConductTest, APeerThatReadsSlowlyReads) {
  now_.tcp.bytes_unread = 100'000;
  uint64_t turn = 0;
  EXPECT_EQ(For(1'000, [&](Conduct::Reading* now) { now->tcp.bytes_acked += ++turn % 90 == 0; }),
            std::nullopt);
}

TEST_F(ConductTest, RequestsThatAreBegunAndNeverFinishedEnd) {
  now_.calls.begun = 100;
  now_.calls_at_edge = 10;
  EXPECT_EQ(For(1'000, [](Conduct::Reading*) {}), ConnectionEnd::kUnfinishedRequests);
  EXPECT_NEAR(static_cast<double>(turns_), 10.0 * kTurnsASecond, 1);
}

TEST_F(ConductTest, BytesOfNoCallEnd) {
  EXPECT_EQ(For(1'000, [](Conduct::Reading* now) { now->tcp.bytes_received += 100'000; }),
            ConnectionEnd::kNoCalls);
  EXPECT_EQ(turns_, kTurnsASecond);
}

TEST(CallCountsTest, ValuesAreFoundInChannelzsJson) {
  const std::string json =
      R"({"end":true,"socketRef":[{"name":"chttp2 ipv4:10.0.0.7:1","socketId":"4"},)"
      R"({"name":"chttp2 ipv4:10.0.0.8:2","socketId":"9"}],"streamsStarted":"12"})";
  std::vector<std::string> ids;
  ForEachValue(json, "socketId", [&](std::string_view id) { ids.emplace_back(id); });
  EXPECT_EQ(ids, (std::vector<std::string>{"4", "9"}));
  EXPECT_EQ(NumberIn(json, "streamsStarted"), 12u);
  EXPECT_EQ(NumberIn(json, "streamsFailed"), 0u);
  EXPECT_EQ(NumberIn("{\"streamsFailed\":\"12", "streamsFailed"), 0u);
}

TEST(PeerNameTest, AddressesAreNamedAsGrpcNamesThem) {
  sockaddr_storage address{};
  auto& v4 = reinterpret_cast<sockaddr_in&>(address);
  v4.sin_family = AF_INET;
  v4.sin_port = htons(5);
  v4.sin_addr.s_addr = htonl(0x0a000007);
  EXPECT_EQ(PeerName(address), "ipv4:10.0.0.7:5");
  address = {};
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(5);
  v6.sin6_addr = in6addr_loopback;
  EXPECT_EQ(PeerName(address), PeerName(std::string_view("ipv6:%5B::1%5D:5")));
  v6.sin6_addr = in6_addr{{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 7}}};
  EXPECT_EQ(PeerName(address), "ipv4:10.0.0.7:5");
  EXPECT_EQ(PeerName(std::string_view("ipv6:[fe80::1%252]:7")), "ipv6:[fe80::1%2]:7");
}

}  // namespace
}  // namespace kvroute
