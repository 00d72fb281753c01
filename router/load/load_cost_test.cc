#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "router/load/load_tracker.h"
#include "test/support/fake_clock.h"

namespace kvroute {
namespace {

Nanos ThreadTime() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + Nanos(now.tv_nsec);
}

// The least processor time of a few drops of a target with ten leases, beside `others`.
Nanos DropBeside(int others) {
  FakeClock clock;
  LoadTracker loads({}, &clock);
  const auto busy = std::make_shared<TargetLoad>();
  for (int i = 0; i < others; ++i) {
    EXPECT_TRUE(loads.Begin(absl::StrCat("o", i), busy, {1, 1}).ok());
  }
  Nanos least = Nanos::max();
  for (int round = 0; round < 5; ++round) {
    const auto target = std::make_shared<TargetLoad>();
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(loads.Begin(absl::StrCat(i), target, {1, 1}).ok());
    const Nanos before = ThreadTime();
    loads.Drop(target.get());
    least = std::min(least, ThreadTime() - before);
    EXPECT_EQ(target->requests_in_flight, 0u);
  }
  EXPECT_EQ(busy->requests_in_flight, static_cast<uint32_t>(others));
  return least;
}

// Compared by processor time, so that a busy machine changes nothing. Whoever routes waits for the
// shard meanwhile: going over all leases took 19 ms.
TEST(LoadTrackerCostTest, DroppingATargetCostsItsOwnLeases) {
  const Nanos few = DropBeside(1'000), many = DropBeside(400'000);
  EXPECT_LT(many, 20 * few) << few.count() << " ns beside 1,000 leases, " << many.count()
                            << " ns beside 400,000";
}

}  // namespace
}  // namespace kvroute
