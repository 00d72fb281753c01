#include "router/edge/grpc_base/read_room.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "indexer/base/check.h"
#include "indexer/base/limits.h"
#include "test/support/fake_clock.h"

namespace kvroute {
namespace {

constexpr uint64_t kLongest = 1'000'000;

// A connection of ours with its client's end, which sends what is unfinished.
class Peer {
 public:
  explicit Peer(uint64_t number) {
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    KVROUTE_CHECK(bind(listener, any, size) == 0 && listen(listener, 1) == 0 &&
                  getsockname(listener, any, &size) == 0);
    client_ = socket(AF_INET, SOCK_STREAM, 0);
    KVROUTE_CHECK(connect(client_, any, size) == 0);
    const int accepted = accept(listener, nullptr, nullptr);
    grpcs_ = dup(accepted);
    connection = std::make_unique<Connection>(number, "peer", accepted);
    close(listener);
  }
  ~Peer() {
    close(client_);
    close(grpcs_);
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // gRPC reads them, as of a request that is not whole.
  void Send(size_t bytes) {
    std::string piece(10'000, '\0');
    for (size_t sent = 0; sent < bytes; sent += piece.size()) {
      KVROUTE_CHECK(send(client_, piece.data(), piece.size(), 0) > 0);
      for (size_t read = 0; read < piece.size();) {
        const ssize_t came = recv(grpcs_, piece.data(), piece.size() - read, 0);
        KVROUTE_CHECK(came > 0);
        read += static_cast<size_t>(came);
      }
    }
  }

  std::unique_ptr<Connection> connection;

 private:
  int client_ = -1;
  int grpcs_ = -1;
};

class Call final : public RequestReader {
 public:
  void MayRead() override { reads = true; }
  bool reads = false;
};

class ReadRoomTest : public testing::Test {
 protected:
  static constexpr uint64_t kLimit = 2 * kLongest;
  // Begins one call more of a connection.
  Call* Begin(Peer* peer) {
    calls_.push_back(std::make_unique<Call>());
    room_.Begin(peer->connection.get(), calls_.back().get());
    return calls_.back().get();
  }
  void End(Peer* peer, uint64_t bytes) { room_.End(peer->connection.get(), bytes); }
  // From now on it is known to send long ones.
  void SendLongOne(Peer* peer) {
    ASSERT_TRUE(Begin(peer)->reads);
    End(peer, limits::kMaxShortMessageBytes + 1);
  }

  FakeClock clock_;
  RoutingStats stats_;
  uint64_t others_ = 0;
  std::vector<Connection*> cut_;
  std::vector<std::unique_ptr<Call>> calls_;
  ReadRoom room_{{kLimit, kLongest, [this] { return others_; },
                  [this](Connection* connection) {
                    cut_.push_back(connection);
                    connection->Cut();
                  },
                  &stats_, &clock_}};
  Peer one_{1}, two_{2}, three_{3};
};

TEST_F(ReadRoomTest, AFewOfAConnectionAreReadUntilOneIsThereOrALookHasSeenThem) {
  std::vector<Call*> calls;
  for (uint32_t i = 0; i < 2 * ReadRoom::kMostYoung + 2; ++i) calls.push_back(Begin(&one_));
  for (size_t i = 0; i < calls.size(); ++i) EXPECT_EQ(calls[i]->reads, i < ReadRoom::kMostYoung);
  EXPECT_TRUE(Begin(&two_)->reads) << "another connection has its own";
  End(&one_, 10);
  EXPECT_TRUE(calls[ReadRoom::kMostYoung]->reads);
  EXPECT_FALSE(calls[ReadRoom::kMostYoung + 1]->reads);
  room_.Look();
  EXPECT_TRUE(calls[2 * ReadRoom::kMostYoung]->reads);
  EXPECT_FALSE(calls[2 * ReadRoom::kMostYoung + 1]->reads);
}

TEST_F(ReadRoomTest, WhoSendsLongOnesWaitsForRoomForTheLongest) {
  for (Peer* peer : {&one_, &two_, &three_}) SendLongOne(peer);
  EXPECT_TRUE(Begin(&one_)->reads);
  EXPECT_TRUE(Begin(&two_)->reads);
  const Call* const third = Begin(&three_);
  EXPECT_FALSE(third->reads);
  EXPECT_EQ(stats_.unread_requests, 1u);
  EXPECT_EQ(stats_.deferred_requests, 1u);
  Peer short_one(4);
  EXPECT_TRUE(Begin(&short_one)->reads) << "waits for nobody's long ones";
  End(&one_, kLongest);
  EXPECT_TRUE(third->reads);
  EXPECT_EQ(stats_.unread_requests, 0u);
}

TEST_F(ReadRoomTest, WhatWaitsToBeAnsweredCountsAndIsAskedAboutAtEveryLook) {
  SendLongOne(&one_);
  others_ = kLongest + 1;
  const Call* const call = Begin(&one_);
  EXPECT_FALSE(call->reads);
  EXPECT_TRUE(room_.LooksWanted());
  room_.Look();
  EXPECT_FALSE(call->reads);
  others_ = 0;
  room_.Look();
  EXPECT_TRUE(call->reads);
}

TEST_F(ReadRoomTest, OneIsReadThatIsLongerThanTheLimit) {
  others_ = 0;
  SendLongOne(&one_);
  EXPECT_TRUE(Begin(&one_)->reads);
}

TEST_F(ReadRoomTest, ASlowOneCountsAsWhatIsHereOfIt) {
  for (Peer* peer : {&one_, &two_, &three_}) SendLongOne(peer);
  Begin(&one_);
  Begin(&two_);
  one_.Send(500'000);
  const Call* const third = Begin(&three_);
  room_.Look();
  EXPECT_FALSE(third->reads);
  clock_.Advance(ReadRoom::kQuick + std::chrono::milliseconds(1));
  room_.Look();
  EXPECT_TRUE(third->reads);
}

TEST_F(ReadRoomTest, WhoSendsShortOnesAgainIsTrustedAgain) {
  for (Peer* peer : {&one_, &two_, &three_}) SendLongOne(peer);
  for (uint32_t i = 0; i < ReadRoom::kShortInARow; ++i) {
    Begin(&three_);
    End(&three_, 10);
  }
  Begin(&one_);
  Begin(&two_);
  EXPECT_TRUE(Begin(&three_)->reads);
}

TEST_F(ReadRoomTest, BeyondTheLimitWhoHasMostIsCutOff) {
  Begin(&one_);
  Begin(&two_);
  one_.Send(900'000);
  two_.Send(1'000'000);
  room_.Look();
  EXPECT_TRUE(cut_.empty());
  one_.Send(400'000);
  room_.Look();
  ASSERT_EQ(cut_.size(), 1u);
  EXPECT_EQ(cut_[0], one_.connection.get());
  room_.Look();
  EXPECT_EQ(cut_.size(), 1u);
}

TEST_F(ReadRoomTest, NothingIsLookedAtWhileNothingIsRead) {
  EXPECT_FALSE(room_.LooksWanted());
  Begin(&one_);
  EXPECT_TRUE(room_.LooksWanted());
  End(&one_, 10);
  EXPECT_FALSE(room_.LooksWanted());
}

}  // namespace
}  // namespace kvroute
