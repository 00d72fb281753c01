#include "router/serve/health.h"

#include <gtest/gtest.h>

#include "test/support/fake_ingest.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(HealthTest, FailsOnlyWhileALaneTakesNoTurnsAndNamesIt) {
  PrefixIndex index;
  FakeIngest ingest(&index);
  EXPECT_EQ(HealthOf(ingest.LaneAges()).status, 200);
  ingest.SetLaneAges({{"ingest-0", milliseconds(100)}, {"ingest-1", milliseconds(9'999)}});
  EXPECT_EQ(HealthOf(ingest.LaneAges()).status, 200);
  EXPECT_EQ(HealthOf(ingest.LaneAges()).body, "ok\n");
  ingest.SetLaneAges({{"ingest-0", milliseconds(100)}, {"ingest-1", seconds(10)}});
  EXPECT_EQ(HealthOf(ingest.LaneAges()).status, 503);
  EXPECT_EQ(HealthOf(ingest.LaneAges()).body, "ingest-1: no progress for 10 s\n");
  ingest.SetLaneAges({{"ingest-0", milliseconds(100)}, {"ingest-1", milliseconds(0)}});
  EXPECT_EQ(HealthOf(ingest.LaneAges()).status, 200);
}

}  // namespace
}  // namespace kvroute
