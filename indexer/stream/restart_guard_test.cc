#include "indexer/stream/restart_guard.h"

#include <gtest/gtest.h>

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RestartGuardTest, ARestartBehindANewConnectionIsBelievedAtOnce) {
  RestartGuard guard;
  guard.Disconnected();
  EXPECT_FALSE(guard.Restarted(seconds(100)));
  EXPECT_TRUE(guard.Believable(seconds(100)));
}

TEST(RestartGuardTest, ARestartWithinAConnectionIsBelievedAfterAQuietTime) {
  RestartGuard guard;
  EXPECT_FALSE(guard.Restarted(seconds(100)));
  EXPECT_FALSE(guard.Believable(seconds(100) + RestartGuard::kQuiet - milliseconds(1)));
  EXPECT_TRUE(guard.Believable(seconds(100) + RestartGuard::kQuiet));
}

TEST(RestartGuardTest, TwoRestartsWithinOneConnectionAreAConflict) {
  RestartGuard guard;
  EXPECT_FALSE(guard.Restarted(seconds(100)));
  EXPECT_TRUE(guard.Restarted(seconds(100) + RestartGuard::kWindow));
}

TEST(RestartGuardTest, RestartsFurtherApartThanTheWindowAreNot) {
  RestartGuard guard;
  Nanos now = seconds(100);
  for (int i = 0; i < 10; ++i) {
    EXPECT_FALSE(guard.Restarted(now));
    now += RestartGuard::kWindow + milliseconds(1);
  }
}

TEST(RestartGuardTest, AnEngineThatCrashesInALoopIsAConflictOnlyWhenItIsAbsurd) {
  RestartGuard guard;
  for (int i = 1; i < RestartGuard::kMaxAcrossConnections; ++i) {
    guard.Disconnected();
    EXPECT_FALSE(guard.Restarted(seconds(100))) << i;
  }
  guard.Disconnected();
  EXPECT_TRUE(guard.Restarted(seconds(100)));
}

TEST(RestartGuardTest, AConflictLastsAsLongAsNumbersJump) {
  RestartGuard guard;
  guard.Restarted(seconds(100));
  guard.Restarted(seconds(100));
  guard.Observe(7, seconds(101));  // the first number says nothing
  EXPECT_TRUE(guard.Believable(seconds(102)));
  guard.Observe(8, seconds(101));
  EXPECT_TRUE(guard.Believable(seconds(102)));
  guard.Observe(3, seconds(101));
  EXPECT_FALSE(guard.Believable(seconds(102)));
  EXPECT_TRUE(guard.Believable(seconds(103)));
  guard.EndConflict();
  EXPECT_FALSE(guard.Restarted(seconds(104)));  // counted anew
}

}  // namespace
}  // namespace kvroute
