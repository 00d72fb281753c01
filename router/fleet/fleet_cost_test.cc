// A fleet of 4,096 workers is as dear as a small one to those who must not wait: queries and lanes.
// Compared by the processor time of the thread that does it, so that a busy machine changes
// nothing.
#include <gtest/gtest.h>
#include <time.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "router/fleet/fleet.h"
#include "test/support/fake_clock.h"
#include "test/support/fake_source.h"

namespace kvroute {
namespace {

constexpr size_t kFew = 16;
constexpr size_t kMany = 4'096;
// Maps that are larger by a factor of 256 are deeper and miss the caches; whoever goes over all
// workers takes some hundred times as long.
constexpr double kMayCostMore = 12;

Nanos ThreadTime() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + Nanos(now.tv_nsec);
}

struct LargeFleet {
  explicit LargeFleet(size_t workers) {
    std::vector<WorkerSpec> specs(workers);
    for (size_t i = 0; i < workers; ++i) {
      specs[i].worker_id = absl::StrCat("w", i);
      specs[i].address = "a";
      specs[i].model = "m";
      specs[i].event_endpoint = absl::StrCat("inproc://", i);
    }
    EXPECT_TRUE(fleet.ApplyConfig(specs).ok());
    source.SetCallbacks(
        [this](const DiscoveredStream& stream) {
          return Timed([&] { return fleet.AddDiscovered(stream); });
        },
        [this](StreamId stream) {
          Timed([&] {
            fleet.RemoveExpired(stream);
            return true;
          });
        });
  }

  // What a lane or a query does; the rest of the test is not counted.
  bool Timed(const std::function<bool()>& part) {
    const Nanos before = ThreadTime();
    const bool result = part();
    spent += ThreadTime() - before;
    return result;
  }

  FakeClock clock;
  PrefixIndex index{{.max_streams = 16'384}};
  FakeSource source{&index};
  LoadTracker loads{{}, &clock};
  Fleet fleet{{}, &source, &loads};
  Nanos spent{0};
};

// `part` is done to a small and to a large fleet, several times by turns; the least time counts.
void ExpectAsCheap(const std::function<void(LargeFleet*)>& part) {
  LargeFleet few(kFew), many(kMany);
  Nanos least_few = Nanos::max(), least_many = Nanos::max();
  for (int i = 0; i < 5; ++i) {
    few.spent = many.spent = Nanos(0);
    part(&few);
    part(&many);
    least_few = std::min(least_few, few.spent);
    least_many = std::min(least_many, many.spent);
  }
  EXPECT_LT(Ms(least_many), kMayCostMore * Ms(least_few))
      << "of " << kMany << " workers, in ms; of " << kFew << " they are " << Ms(least_few);
}

TEST(FleetCostTest, ALaneThatDiscoversAndLosesStreams) {
  ExpectAsCheap([](LargeFleet* of) {
    for (int i = 0; i < 50; ++i) ASSERT_TRUE(of->source.Discover(absl::StrCat("d", i), "m"));
    of->fleet.AwaitPublished();
    const auto snapshot = of->fleet.Snapshot();
    std::vector<StreamId> discovered;
    for (const FleetTarget& target : snapshot->targets) {
      if (target.worker->source != WorkerSource::kDiscovered) continue;
      discovered.push_back(target.stream->id);
    }
    ASSERT_EQ(discovered.size(), 50u);
    for (const StreamId stream : discovered) of->source.Expire(stream);
    of->fleet.AwaitPublished();
  });
}

// The view it has is replaced, and the one before let go.
TEST(FleetCostTest, AQueryAfterEachChange) {
  std::shared_ptr<const FleetSnapshot> view;
  ExpectAsCheap([&view](LargeFleet* of) {
    for (int i = 0; i < 20; ++i) {
      of->fleet.Refresh(&view);
      const uint64_t version = view->version;
      ASSERT_TRUE(of->fleet.SetDraining("w7", i % 2 == 0).ok());
      of->Timed([&] {
        of->fleet.Refresh(&view);
        return true;
      });
      ASSERT_GT(view->version, version);
    }
  });
}

// Of a registration what its caller does; the snapshot is made by the fleet's own thread.
TEST(FleetCostTest, AChangeOfOneWorker) {
  ExpectAsCheap([](LargeFleet* of) {
    for (int i = 0; i < 20; ++i) {
      of->Timed([&] { return of->fleet.SetDraining("w7", i % 2 == 0).ok(); });
    }
  });
}

// A change is being made, its source does not come back: queries and lanes do not notice.
TEST(FleetCostTest, NobodyWaitsForAChangeThatHangs) {
  LargeFleet of(kFew);
  WorkerSpec spec;
  spec.worker_id = "new";
  spec.address = "a";
  spec.model = std::string("m");
  spec.event_endpoint = "inproc://new";
  of.source.HangAt(spec.event_endpoint);
  std::thread change([&] { EXPECT_TRUE(of.fleet.Register(spec).ok()); });
  of.source.AwaitHanging();
  EXPECT_TRUE(of.source.Discover("d", "m"));
  of.fleet.AwaitPublished();
  EXPECT_TRUE(of.fleet.Snapshot()->FindTarget("d", 0).has_value());
  EXPECT_FALSE(of.fleet.Snapshot()->FindTarget("new", 0).has_value());
  of.source.HangAt("");
  change.join();
  EXPECT_TRUE(of.fleet.Snapshot()->FindTarget("new", 0).has_value());
}

}  // namespace
}  // namespace kvroute
