#include "router/edge/grpc_base/long_work.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "indexer/base/limits.h"

namespace kvroute {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class LongWorkTest : public testing::Test {
 protected:
  class Task final : public LongTask {
   public:
    Task(LongWorkTest* test, std::string name) : test_(test), name_(std::move(name)) {}
    void Run() override {
      MutexLock lock(&test_->mutex_);
      test_->ran_.push_back(name_);
    }

   private:
    LongWorkTest* const test_;
    const std::string name_;
  };
  // Keeps the thread until it is released.
  class Holder final : public LongTask {
   public:
    void Run() override {
      begun.set_value();
      release.get_future().wait();
    }
    std::promise<void> begun, release;
  };

  absl::Status Add(LongWork* work, uint64_t connection, const std::string& name, size_t bytes = 1) {
    tasks_.push_back(std::make_unique<Task>(this, name));
    return work->Add(connection, bytes, tasks_.back().get());
  }
  void Hold(LongWork* work) {
    ASSERT_TRUE(work->Add(99, 0, &holder_).ok());
    holder_.begun.get_future().wait();
  }

  std::vector<std::string> Ran() {
    MutexLock lock(&mutex_);
    return ran_;
  }

  Mutex mutex_;
  std::vector<std::string> ran_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Task>> tasks_;
  Holder holder_;
};

TEST_F(LongWorkTest, ConnectionsTakeTurns) {
  LongWork work(1);
  Hold(&work);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Add(&work, 1, absl::StrCat("a", i)).ok());
  ASSERT_TRUE(Add(&work, 2, "b0").ok());
  ASSERT_TRUE(Add(&work, 3, "c0").ok());
  holder_.release.set_value();
  work.Stop();
  EXPECT_THAT(Ran(), ElementsAre("a0", "b0", "c0", "a1", "a2"));
}

TEST_F(LongWorkTest, OneConnectionHasOneThread) {
  LongWork work(2);
  Holder first, other;
  ASSERT_TRUE(work.Add(1, 0, &first).ok());
  first.begun.get_future().wait();
  ASSERT_TRUE(Add(&work, 1, "waits for itself").ok());
  ASSERT_TRUE(work.Add(2, 0, &other).ok());
  other.begun.get_future().wait();  // beside the first
  EXPECT_TRUE(Ran().empty());
  other.release.set_value();
  first.release.set_value();
  work.Stop();
  EXPECT_THAT(Ran(), ElementsAre("waits for itself"));
}

TEST_F(LongWorkTest, WhatOneConnectionMayHaveWaitingIsBounded) {
  LongWork work(1);
  Hold(&work);
  for (size_t i = 0; i < limits::kMaxLongCallsPerConnection; ++i) {
    ASSERT_TRUE(Add(&work, 1, "x").ok());
  }
  const absl::Status refused = Add(&work, 1, "x");
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("64 calls"));
  EXPECT_TRUE(Add(&work, 2, "x").ok());
  holder_.release.set_value();
}

TEST_F(LongWorkTest, TheBytesThatWaitAreBoundedForOneAndForAll) {
  constexpr size_t kShare = 1'000;
  LongWork work(1, 4 * kShare);
  Hold(&work);
  for (uint64_t connection = 1; connection <= 4; ++connection) {
    ASSERT_TRUE(Add(&work, connection, "x", kShare - 1).ok());
    EXPECT_FALSE(Add(&work, connection, "x", 2).ok());
  }
  EXPECT_FALSE(Add(&work, 5, "x", 5).ok());
  EXPECT_TRUE(Add(&work, 5, "x", 4).ok());
  holder_.release.set_value();
  work.Stop();
  EXPECT_EQ(Ran().size(), 5u);
}

// Of two that do not fit beside each other one waits, on whatever thread; what fits goes before it.
TEST_F(LongWorkTest, WhatTheyTakeTogetherIsBounded) {
  constexpr size_t kBytes = 1'000'000;
  MemoryBudget memory(LongWork::MemoryOf(kBytes) * 3 / 2);
  LongWork work(3, limits::kMaxLongCallBytes, &memory);
  Holder first, brief;
  ASSERT_TRUE(work.Add(1, kBytes, &first).ok());
  first.begun.get_future().wait();
  EXPECT_EQ(memory.used(), LongWork::MemoryOf(kBytes));
  ASSERT_TRUE(Add(&work, 2, "waits", kBytes).ok());
  ASSERT_TRUE(work.Add(3, 1, &brief).ok());
  brief.begun.get_future().wait();
  EXPECT_TRUE(Ran().empty());
  EXPECT_EQ(memory.refused(), 1u);
  brief.release.set_value();
  first.release.set_value();
  work.Stop();
  EXPECT_THAT(Ran(), ElementsAre("waits"));
  EXPECT_EQ(memory.used(), 0u);
}

// Or it would never be.
TEST_F(LongWorkTest, OneThatIsAloneIsAnsweredWhateverItTakes) {
  MemoryBudget memory(1'000);
  LongWork work(2, limits::kMaxLongCallBytes, &memory);
  ASSERT_TRUE(Add(&work, 1, "alone", 1'000'000).ok());
  ASSERT_TRUE(Add(&work, 2, "then alone", 1'000'000).ok());
  work.Stop();
  EXPECT_EQ(Ran().size(), 2u);
  EXPECT_EQ(memory.used(), 0u);
}

// Those that there is room for do not keep it from its turn for ever.
TEST_F(LongWorkTest, TheOneThatDoesNotFitComesToItsTurn) {
  constexpr size_t kBytes = 1'000'000;
  MemoryBudget memory(LongWork::MemoryOf(kBytes) * 3 / 2);
  LongWork work(2, limits::kMaxLongCallBytes, &memory);
  Holder first;
  ASSERT_TRUE(work.Add(1, kBytes, &first).ok());
  first.begun.get_future().wait();
  ASSERT_TRUE(Add(&work, 2, "large", kBytes).ok());
  for (uint64_t connection = 100; connection < 200; ++connection) {
    ASSERT_TRUE(Add(&work, connection, "small").ok());
  }
  while (Ran().size() < 16) std::this_thread::yield();
  first.release.set_value();
  work.Stop();
  const std::vector<std::string> ran = Ran();
  EXPECT_EQ(std::find(ran.begin(), ran.end(), "large") - ran.begin(), 16);
}

}  // namespace
}  // namespace kvroute
