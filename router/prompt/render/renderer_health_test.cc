#include "router/prompt/render/renderer_health.h"

#include <gtest/gtest.h>

namespace kvroute {
namespace {

using State = RendererHealth::State;
using std::chrono::seconds;

constexpr Nanos kNow = seconds(1'000);

RendererHealth In(State state) {
  RendererHealth health;
  health.TakeProbe(kNow);
  if (state != State::kProbing) health.OnProbed(state == State::kReady, kNow);
  EXPECT_EQ(health.state(), state);
  return health;
}

// Each cell of the table of docs/life-of-a-query.md.
TEST(RendererHealthTest, EveryStateAndInput) {
  for (const State state : {State::kProbing, State::kReady, State::kLeftAlone}) {
    RendererHealth health = In(state);
    health.OnProbed(true, kNow);
    EXPECT_EQ(health.state(), State::kReady);
    health = In(state);
    health.OnProbed(false, kNow);
    EXPECT_EQ(health.state(), State::kLeftAlone);
    health = In(state);
    health.OnAnswer();
    EXPECT_EQ(health.state(), state);
    health = In(state);
    for (int i = 1; i < RendererHealth::kFailuresToLeave; ++i) health.OnFailure(kNow);
    EXPECT_EQ(health.state(), state) << "not yet";
    health.OnFailure(kNow);
    EXPECT_EQ(health.state(), State::kLeftAlone);
  }
}

TEST(RendererHealthTest, FailuresCountOneBehindTheOther) {
  RendererHealth health = In(State::kReady);
  for (int i = 0; i < 10; ++i) {
    health.OnFailure(kNow);
    health.OnFailure(kNow);
    health.OnAnswer();
  }
  EXPECT_EQ(health.state(), State::kReady);
}

TEST(RendererHealthTest, PausesDoubleUntilItAnswersACall) {
  RendererHealth health;
  Nanos now = kNow;
  EXPECT_TRUE(health.TakeProbe(now));
  EXPECT_FALSE(health.TakeProbe(now)) << "one at a time";
  for (const int pause : {1, 2, 4, 8, 16, 30, 30}) {
    health.OnProbed(false, now);
    EXPECT_FALSE(health.TakeProbe(now + seconds(pause) - Nanos(1)));
    now += seconds(pause);
    EXPECT_TRUE(health.TakeProbe(now));
    EXPECT_EQ(health.state(), State::kLeftAlone) << "no caller waits for the probe";
  }
  health.OnProbed(true, now);
  health.OnAnswer();
  now += RendererHealth::kProbeAgainAfter;
  EXPECT_TRUE(health.TakeProbe(now));
  EXPECT_EQ(health.state(), State::kReady) << "used meanwhile";
  health.OnProbed(false, now);
  EXPECT_TRUE(health.TakeProbe(now + RendererHealth::kFirstPause));
}

}  // namespace
}  // namespace kvroute
