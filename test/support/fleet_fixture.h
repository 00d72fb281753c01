#ifndef KVROUTE_TEST_SUPPORT_FLEET_FIXTURE_H_
#define KVROUTE_TEST_SUPPORT_FLEET_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "router/fleet/fleet.h"
#include "test/support/fake_clock.h"
#include "test/support/fake_source.h"

namespace kvroute {

inline WorkerSpec Spec(const std::string& id, int port, uint32_t ranks = 1,
                       const std::string& model = "m") {
  WorkerSpec spec;
  spec.worker_id = id;
  spec.address = "http://" + id;
  spec.model = model;
  spec.event_endpoint = absl::StrCat("tcp://127.0.0.1:", port);
  spec.data_parallel_size = ranks;
  return spec;
}

// A fleet of at most ten streams, on a source that a test plays.
class FleetFixture : public testing::Test {
 protected:
  // What lanes have told is in a snapshot soon.
  std::shared_ptr<const FleetSnapshot> Settled() const {
    fleet_.AwaitPublished();
    return fleet_.Snapshot();
  }
  // "worker/rank" of each target.
  std::vector<std::string> Ids() const {
    std::vector<std::string> ids;
    for (const FleetTarget& target : Settled()->targets) {
      ids.push_back(absl::StrCat(target.worker->spec.worker_id, "/", target.rank));
    }
    return ids;
  }

  FakeClock clock_;
  PrefixIndex index_;
  FakeSource source_{&index_};
  LoadTracker loads_{{}, &clock_};
  Fleet fleet_{{.max_streams = 10}, &source_, &loads_};
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_FLEET_FIXTURE_H_
