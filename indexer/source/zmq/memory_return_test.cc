#include "indexer/source/zmq/memory_return.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "test/support/fake_clock.h"
#include "test/support/sanitized.h"

namespace kvroute {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

size_t ResidentBytes() {
  unsigned long pages = 0;
  FILE* const statm = std::fopen("/proc/self/statm", "r");
  EXPECT_EQ(std::fscanf(statm, "%*u %lu", &pages), 1);
  std::fclose(statm);
  return pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

class MemoryReturnTest : public testing::Test {
 protected:
  void SetUp() override {
    if (kSanitized) GTEST_SKIP() << "the sanitizers have heaps of their own";
  }

  // As a queue of messages does: allocated on another thread, freed here, and the one that was
  // allocated last stays.
  void FillAndEmptyAQueue() {
    std::vector<std::unique_ptr<char[]>> messages;
    std::thread io([&] {
      for (size_t i = 0; i < 100 * kMiB / 8'192; ++i) {
        messages.push_back(std::make_unique<char[]>(8'192));
        std::memset(messages.back().get(), 1, 8'192);
      }
    });
    io.join();
    last_.push_back(std::move(messages.back()));
  }

  FakeClock clock_;
  IngestCounters counters_;
  MemoryReturn memory_return_{&counters_, &clock_};
  std::vector<std::unique_ptr<char[]>> last_;
};

TEST_F(MemoryReturnTest, WhatQueuesTookGoesBack) {
  const size_t before = ResidentBytes();
  FillAndEmptyAQueue();
  ASSERT_GT(ResidentBytes(), before + 80 * kMiB);  // or there is nothing to be done
  counters_.payload_bytes = MemoryReturn::kAfterBytes;
  memory_return_.OnIdle();
  EXPECT_LT(ResidentBytes(), before + 30 * kMiB);
}

TEST_F(MemoryReturnTest, NotAfterEveryFewBytesNorAllTheTime) {
  counters_.payload_bytes = MemoryReturn::kAfterBytes - 1;
  FillAndEmptyAQueue();
  const size_t full = ResidentBytes();
  memory_return_.OnIdle();
  EXPECT_GT(ResidentBytes(), full - 30 * kMiB);
  counters_.payload_bytes = MemoryReturn::kAfterBytes;
  memory_return_.OnIdle();
  EXPECT_LT(ResidentBytes(), full - 50 * kMiB);

  FillAndEmptyAQueue();
  counters_.payload_bytes = 2 * MemoryReturn::kAfterBytes;
  memory_return_.OnIdle();  // it was done a moment ago
  EXPECT_GT(ResidentBytes(), full - 30 * kMiB);
  clock_.Advance(MemoryReturn::kBetween);
  memory_return_.OnIdle();
  EXPECT_LT(ResidentBytes(), full - 50 * kMiB);
}

}  // namespace
}  // namespace kvroute
