// How long a stream waits before it asks for everything again.
#include <gtest/gtest.h>

#include "test/support/stream_machine_fixture.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// The engine does not answer, then does; how long the stream waits before it asks for everything.
class FreshStartDelayTest : public StreamMachineFixture {
 protected:
  void GiveUp() {
    Reconnect();
    for (int i = 0; i < options_.replay_attempts; ++i) Wait(options_.replay_timeout);
    ASSERT_EQ(status_.reason.load(), TrustReason::kReplayTimeout);
    Machine().TakeReplayRequest();
  }
  // Until everything is asked for. The engine is asked for more of the same meanwhile, and does not
  // answer, which puts nothing off.
  Nanos WaitForFreshStart() {
    const Nanos began = clock_.Monotonic();
    while (Machine().state() != StreamState::kStartingAfresh) {
      Wait(milliseconds(100));
      if (Machine().state() != StreamState::kStartingAfresh) Machine().TakeReplayRequest();
      if (clock_.Monotonic() - began > 100 * options_.fresh_start_after) return Nanos::max();
    }
    return clock_.Monotonic() - began;
  }
};

TEST_F(FreshStartDelayTest, DoublesUntilOneSucceedsThatLastsAsLong) {
  options_.replay_timeout = milliseconds(1);  // which is none of the times compared
  const Nanos first = options_.fresh_start_after;
  StartInSync(3);
  GiveUp();
  EXPECT_LE(WaitForFreshStart(), first + seconds(1));
  for (int i = 0; i < options_.replay_attempts; ++i) Wait(options_.replay_timeout);
  EXPECT_GE(WaitForFreshStart(), 2 * first - seconds(1));
  Reply(3);
  ASSERT_EQ(status_.trust.load(), Trust::kExact);

  // At once again: the same trouble.
  GiveUp();
  EXPECT_GE(WaitForFreshStart(), 4 * first - seconds(1));
  Reply(3);
  ASSERT_EQ(status_.trust.load(), Trust::kExact);

  clock_.Advance(4 * first);
  GiveUp();
  EXPECT_LE(WaitForFreshStart(), first + seconds(1));
}

}  // namespace
}  // namespace kvroute
