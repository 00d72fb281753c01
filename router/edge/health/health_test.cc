#include "router/edge/health/health.h"

#include <gtest/gtest.h>

#include "test/support/fake_source.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(HealthTest, FailsOnlyWhileALaneTakesNoTurnsAndNamesIt) {
  PrefixIndex index;
  FakeSource source(&index);
  EXPECT_EQ(HealthOf(source.LaneAges()).status, 200);
  source.SetLaneAges({{"ingest-0", milliseconds(100)}, {"ingest-1", milliseconds(9'999)}});
  EXPECT_EQ(HealthOf(source.LaneAges()).status, 200);
  EXPECT_EQ(HealthOf(source.LaneAges()).body, "ok\n");
  source.SetLaneAges({{"ingest-0", milliseconds(100)}, {"ingest-1", seconds(10)}});
  EXPECT_EQ(HealthOf(source.LaneAges()).status, 503);
  EXPECT_EQ(HealthOf(source.LaneAges()).body, "ingest-1: no progress for 10 s\n");
  source.SetLaneAges({{"ingest-0", milliseconds(100)}, {"ingest-1", milliseconds(0)}});
  EXPECT_EQ(HealthOf(source.LaneAges()).status, 200);
}

}  // namespace
}  // namespace kvroute
