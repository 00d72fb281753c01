#include "indexer/telemetry/http_connections.h"

#include <gtest/gtest.h>

namespace kvroute {
namespace {

TEST(HttpConnectionsTest, WhoHasBeenSilentForLongestMakesRoom) {
  HttpConnections connections(2, 1'000);
  auto* const first = connections.Add(1);
  connections.Add(2);
  EXPECT_EQ(connections.TakeVictim(), -1);
  connections.Asked(first);
  connections.Add(3);
  EXPECT_EQ(connections.TakeVictim(), 2);
  EXPECT_EQ(connections.TakeVictim(), -1);  // it is not open any more, though not yet gone
  connections.Add(4);
  EXPECT_EQ(connections.TakeVictim(), 1);
}

TEST(HttpConnectionsTest, WhoDoesNotReadItsAnswerIsCutOffBeforeTheOthers) {
  HttpConnections connections(10, 1'000);
  connections.Add(1);
  auto* const slow = connections.Add(2);
  auto* const other = connections.Add(3);
  connections.Answering(slow, 600);
  connections.Answering(other, 400);
  EXPECT_EQ(connections.TakeVictim(), -1);
  connections.Answering(other, 401);
  EXPECT_EQ(connections.TakeVictim(), 2);
  EXPECT_EQ(connections.TakeVictim(), -1);
  connections.Remove(slow);
  connections.Answering(other, 0);
  connections.Answering(other, 1'000);
  EXPECT_EQ(connections.TakeVictim(), -1);
}

TEST(HttpConnectionsTest, WhatIsGoneCountsNoMore) {
  HttpConnections connections(1, 10);
  auto* const first = connections.Add(1);
  connections.Answering(first, 10);
  connections.Remove(first);
  auto* const second = connections.Add(2);
  connections.Answering(second, 10);
  EXPECT_EQ(connections.TakeVictim(), -1);
}

}  // namespace
}  // namespace kvroute
