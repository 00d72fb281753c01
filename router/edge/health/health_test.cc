#include "router/edge/health/health.h"

#include <gtest/gtest.h>

#include "test/support/fake_source.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(HealthTest, FailsOnlyWhileAThreadMakesNoProgressAndNamesIt) {
  PrefixIndex index;
  FakeSource source(&index);
  EXPECT_EQ(HealthOf(source.ThreadAges()).status, 200);
  source.SetThreadAges({{"ingest-0", milliseconds(100)}, {"ingest-1", milliseconds(9'999)}});
  EXPECT_EQ(HealthOf(source.ThreadAges()).status, 200);
  EXPECT_EQ(HealthOf(source.ThreadAges()).body, "ok\n");
  source.SetThreadAges({{"ingest-0", milliseconds(100)}, {"ingest-1", seconds(10)}});
  EXPECT_EQ(HealthOf(source.ThreadAges()).status, 503);
  EXPECT_EQ(HealthOf(source.ThreadAges()).body, "ingest-1: no progress for 10 s\n");
  source.SetThreadAges({{"ingest-0", milliseconds(100)}, {"ingest-1", milliseconds(0)}});
  EXPECT_EQ(HealthOf(source.ThreadAges()).status, 200);
}

}  // namespace
}  // namespace kvroute
