#include "router/edge/grpc_base/unfinished.h"

#include <gtest/gtest.h>

namespace kvroute {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

TEST(UnfinishedTest, WhoFinishesItsRequestsOwesNone) {
  Unfinished unfinished;
  uint64_t received = 1'000;
  Unfinished::Whole whole;
  for (uint64_t call = 1; call <= 100'000; ++call) {
    received += 300 + 4'000 + 50;  // headers, the message, frames
    unfinished.Read(received, whole, call);
    whole.bytes += 4'000;
    ++whole.messages;
  }
  EXPECT_EQ(unfinished.bytes(), 0u);
}

TEST(UnfinishedTest, WhatIsNoRequestYetIsCountedUntilItIs) {
  Unfinished unfinished;
  unfinished.Read(10 * kMiB, {}, 1);
  EXPECT_GE(unfinished.bytes(), 10 * kMiB - 2'000);
  unfinished.Read(16 * kMiB + 1'000, {}, 1);
  EXPECT_GE(unfinished.bytes(), 16 * kMiB - 2'000);
  unfinished.Read(16 * kMiB + 1'000, {16 * kMiB, 1}, 1);
  EXPECT_EQ(unfinished.bytes(), 0u);
}

// Whatever it finished before: what it did not use of that is not lent to it.
TEST(UnfinishedTest, AGoodPastHidesNothing) {
  Unfinished unfinished;
  unfinished.Read(2'000 * kMiB, {1'999 * kMiB, 100'000}, 100'000);
  unfinished.Read(2'010 * kMiB, {1'999 * kMiB, 100'000}, 100'001);
  EXPECT_GE(unfinished.bytes(), 10 * kMiB - 2'000);
}

}  // namespace
}  // namespace kvroute
