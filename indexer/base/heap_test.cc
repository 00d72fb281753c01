#include "indexer/base/heap.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <memory>
#include <utility>
#include <vector>

#include "test/support/sanitized.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint64_t kMebibyte = uint64_t{1} << 20;

class HeapReturnTest : public testing::Test {
 protected:
  bool LookAfter(Nanos time) { return heap_.Look(needed_, now_ += time); }

  Nanos now_ = seconds(100);
  uint64_t resident_ = 0;
  uint64_t free_ = 0;  // of it
  uint64_t needed_ = 50 * kMebibyte;
  HeapReturn heap_{1'000 * kMebibyte, [this] { return resident_; },
                   [this] { resident_ -= std::exchange(free_, 0); }};
};

TEST_F(HeapReturnTest, WhatIsFreeGoesBackSoon) {
  resident_ = needed_ + HeapReturn::kLeastWaste - 1;
  EXPECT_FALSE(LookAfter(seconds(1)));
  resident_ = needed_ + 100 * kMebibyte;
  free_ = 90 * kMebibyte;
  EXPECT_TRUE(LookAfter(seconds(1)));
  EXPECT_EQ(resident_, needed_ + 10 * kMebibyte);
  resident_ += free_ = 90 * kMebibyte;
  EXPECT_FALSE(LookAfter(seconds(1)));  // it was done a moment ago
  EXPECT_TRUE(LookAfter(seconds(1)));
}

TEST_F(HeapReturnTest, WhereItBringsNothingItIsTriedEverMoreSeldom) {
  resident_ = needed_ + 100 * kMebibyte;
  int tries = 0;
  for (int i = 0; i < 600; ++i) tries += LookAfter(seconds(1));
  EXPECT_GE(tries, 10);
  EXPECT_LE(tries, 16);
}

TEST_F(HeapReturnTest, NearTheLimitItIsTriedAtOnce) {
  resident_ = 900 * kMebibyte;
  EXPECT_TRUE(LookAfter(seconds(1)));
  EXPECT_FALSE(LookAfter(milliseconds(200)));
  EXPECT_TRUE(LookAfter(milliseconds(200)));
  EXPECT_TRUE(LookAfter(milliseconds(400)));
}

// In a process of its own, since nothing takes it back.
TEST(ConfigureHeapTest, WhatIsLargeGoesBackAtOnceAlwaysAndNotOnlyAtFirst) {
  if (kSanitized) GTEST_SKIP() << "the sanitizers have heaps of their own";
  ConfigureHeap();
  for (int i = 0; i < 3; ++i) {
    const struct mallinfo2 before = mallinfo2();
    auto large = std::make_unique<std::vector<char>>(20 * kMebibyte, 'x');
    EXPECT_EQ(mallinfo2().hblks, before.hblks + 1) << i;
    large.reset();
    EXPECT_EQ(mallinfo2().hblks, before.hblks) << i;
  }
}

}  // namespace
}  // namespace kvroute
