#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "indexer/base/limits.h"
#include "router/load/load_tracker.h"
#include "test/support/counted_allocations.h"
#include "test/support/fake_clock.h"

namespace kvroute {
namespace {

std::string LongestId(int number) {
  std::string id = absl::StrCat(number, "-");
  id.resize(limits::kMaxRequestIdBytes, 'x');
  return id;
}

// The dearest leases there are: ids as long as may be, each of a client of its own.
TEST(LeaseMemoryTest, NoLeaseTakesMoreThanIsReckoned) {
  for (const int count : {1'000, 70'000, 120'000}) {
    FakeClock clock;
    const auto target = std::make_shared<TargetLoad>();
    most_live_bytes = live_bytes.load();
    const int64_t before = live_bytes.load();
    LoadTracker loads({.max_leases = static_cast<size_t>(count)}, &clock);
    for (int i = 0; i < 2 * count; ++i) {  // half of them take the others' places
      const LeaseHolder holder{.client = {.connection = static_cast<uint64_t>(i), .address = 1}};
      ASSERT_TRUE(loads.Begin(LongestId(i), target, {1, 1}, holder).ok());
    }
    ASSERT_EQ(loads.Stats().leases, static_cast<uint64_t>(count));
    // and what the tracker takes with none
    EXPECT_LE(most_live_bytes - before,
              count * static_cast<int64_t>(LoadTracker::kLeaseBytes) + 65'536)
        << count;
  }
}

TEST(LeaseMemoryTest, NoMoreAreBegunThanTheMemoryIsFor) {
  FakeClock clock;
  LoadTracker loads({.max_memory_bytes = 100 * LoadTracker::kLeaseBytes}, &clock);
  EXPECT_EQ(loads.Stats().max_leases, 100u);
  const auto target = std::make_shared<TargetLoad>();
  for (int i = 0; i < 150; ++i) ASSERT_TRUE(loads.Begin(absl::StrCat(i), target, {1, 1}).ok());
  EXPECT_EQ(loads.Stats().leases, 100u);
  EXPECT_EQ(loads.Stats().evicted, 50u);
  EXPECT_EQ(target->requests_in_flight, 100u);
}

}  // namespace
}  // namespace kvroute
