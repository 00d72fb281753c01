#include "indexer/telemetry/http_connections.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace kvroute {
namespace {

constexpr Nanos kNow{1'000'000'000};
constexpr Nanos kLater = kNow + HttpConnections::kUnreadFor;

HttpConnections::Body BodyOf(size_t bytes) {
  return std::make_shared<const std::string>(bytes, 'x');
}

class HttpConnectionsTest : public testing::Test {
 protected:
  // One that has asked `requests` times and read all answers but, if it `waits`, to the last.
  HttpConnections::Connection* Client(HttpConnections* of, int fd, int requests, bool waits) {
    auto* const client = of->Add(fd, kNow);
    for (int i = 0; i < requests; ++i) {
      of->Asked(client);
      if (waits && i + 1 == requests) break;
      of->Answering(client, BodyOf(10), kNow);
      of->Answered(client, /*all=*/true);
    }
    return client;
  }
};

TEST_F(HttpConnectionsTest, WhoDoesWithoutItMostEasilyMakesRoom) {
  HttpConnections connections(8, 1'000);
  for (const int fd : {101, 102, 103}) Client(&connections, fd, 2, /*waits=*/true);  // read answers
  Client(&connections, 4, 1, /*waits=*/true);
  connections.Answering(Client(&connections, 3, 1, /*waits=*/true), BodyOf(10), kLater);
  Client(&connections, 1, 0, false);  // never asked
  connections.Answering(Client(&connections, 0, 1, true), BodyOf(10), kNow);
  Client(&connections, 104, 1, /*waits=*/false);  // is idle, but has read an answer
  EXPECT_EQ(connections.TakeVictim(kLater), -1);
  for (const int goes : {0, 1, 3, 4}) {
    Client(&connections, 200, 1, /*waits=*/true);
    EXPECT_EQ(connections.TakeVictim(kLater), goes);
    EXPECT_EQ(connections.TakeVictim(kLater), -1);  // not open any more, though not yet gone
  }
  Client(&connections, 201, 1, /*waits=*/true);
  EXPECT_EQ(connections.TakeVictim(kLater), 200);  // half of the places are the readers'
}

TEST_F(HttpConnectionsTest, ReadersThatAreIdleHaveNoMoreThanHalfOfThePlaces) {
  HttpConnections connections(4, 1'000);
  for (int fd = 1; fd <= 4; ++fd) Client(&connections, fd, 1, /*waits=*/false);
  Client(&connections, 5, 0, false);
  EXPECT_EQ(connections.TakeVictim(kNow), 1);
  Client(&connections, 6, 1, true);
  EXPECT_EQ(connections.TakeVictim(kNow), 2);
  Client(&connections, 7, 1, true);
  EXPECT_EQ(connections.TakeVictim(kNow), 5);
}

TEST_F(HttpConnectionsTest, AnAnswerThatIsJustOnItsWayIsNotUnreadNorANewcomerSilent) {
  HttpConnections connections(2, 1'000);
  auto* const reader = Client(&connections, 1, 2, true);
  connections.Answering(reader, BodyOf(10), kNow);
  Client(&connections, 2, 1, true);
  Client(&connections, 3, 0, false);
  EXPECT_EQ(connections.TakeVictim(kNow), 2);
  Client(&connections, 4, 0, false);
  EXPECT_EQ(connections.TakeVictim(kLater), 1);
}

TEST_F(HttpConnectionsTest, TheOldestUnreadAnswerIsCutOffBeforeTheOthers) {
  HttpConnections connections(10, 1'000);
  auto* const slow = Client(&connections, 2, 1, true);
  auto* const other = Client(&connections, 3, 1, true);
  connections.Answering(other, BodyOf(600), kNow);
  connections.Answering(slow, BodyOf(400), kNow + Nanos(1));
  EXPECT_EQ(connections.TakeVictim(kLater), -1);
  connections.Answering(Client(&connections, 4, 1, true), BodyOf(400), kNow + Nanos(2));
  EXPECT_EQ(connections.TakeVictim(kNow + HttpConnections::kFreshFor / 2), -1);  // just answered
  EXPECT_EQ(connections.TakeVictim(kLater), 3);
  EXPECT_EQ(connections.TakeVictim(kLater), -1);
  connections.Remove(other);
  EXPECT_EQ(connections.unsent_bytes(), 800u);
}

// However long it is: or nobody could read such a page.
TEST_F(HttpConnectionsTest, TheLatestAnswerIsNeverCutOff) {
  HttpConnections connections(10, 1'000);
  auto* const first = Client(&connections, 1, 1, true);
  connections.Answering(first, BodyOf(2'000), kNow);
  EXPECT_EQ(connections.TakeVictim(kLater), -1);
  connections.Answering(Client(&connections, 2, 1, true), BodyOf(2'000), kNow + Nanos(1));
  EXPECT_EQ(connections.TakeVictim(kLater), 1);
  EXPECT_EQ(connections.TakeVictim(kLater), -1);
}

TEST_F(HttpConnectionsTest, ABodyThatSeveralAreSentIsThereOnce) {
  HttpConnections connections(10, 1'000);
  const HttpConnections::Body body = BodyOf(600);
  auto* const one = Client(&connections, 1, 1, true);
  auto* const other = Client(&connections, 2, 1, true);
  connections.Answering(one, body, kNow);
  connections.Answering(other, body, kNow);
  EXPECT_EQ(connections.unsent_bytes(), 600u);
  EXPECT_EQ(connections.TakeVictim(kNow), -1);
  connections.Answered(one, true);
  EXPECT_EQ(connections.unsent_bytes(), 600u);
  connections.Remove(other);
  EXPECT_EQ(connections.unsent_bytes(), 0u);
}

}  // namespace
}  // namespace kvroute
