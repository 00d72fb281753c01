// Random engines over networks that lose, repeat, damage, delay and cut. What must hold whatever
// happens is said at MachineModel. KVROUTE_MODEL_SEEDS=N runs N seeds of each case instead of 20,
// from KVROUTE_TEST_SEED on.
#include <gtest/gtest.h>

#include <cstdlib>

#include "test/support/machine_model.h"

namespace kvroute {
namespace {

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* given = std::getenv(name);
  return given != nullptr ? std::strtoull(given, nullptr, 10) : otherwise;
}

class StreamMachineModelTest : public testing::TestWithParam<uint64_t> {
 protected:
  void RunAndCalm(const Network& network, int steps) {
    SCOPED_TRACE(testing::Message() << "seed " << GetParam() << ": " << Describe(network));
    MachineModel model(network, GetParam());
    model.Run(steps);
    model.Calm();
    if (HasFailure()) return;
    EXPECT_NE(model.status().trust.load(), Trust::kSyncing);
    EXPECT_EQ(model.status().held_batches.load(), 0u);
    // An engine that says it holds nothing is a known point, whatever was lost before it.
    model.Publish(/*clear=*/true);
    model.DeliverAll();
    EXPECT_NE(model.status().trust.load(), Trust::kDegraded)
        << TrustReasonName(model.status().reason.load());
    model.Calm();
    EXPECT_EQ(model.status().trust.load(), Trust::kExact)
        << TrustReasonName(model.status().reason.load());
    EXPECT_EQ(model.status().next_seq.load(), model.engine().next_seq());
    EXPECT_GT(model.exact_checks(), 1000);
    doubt_checks_ = model.doubt_checks();
    if (network.replay) return;
    EXPECT_EQ(model.status().batches.load() + model.status().duplicates.load(), model.delivered());
    EXPECT_EQ(model.status().missing_batches.load(), model.lost());
  }

  int doubt_checks_ = 0;
};

TEST_P(StreamMachineModelTest, HealthyNetwork) {
  MachineModel model({.burst = 10}, GetParam());
  model.Calm();
  for (int i = 0; i < 200; ++i) model.Publish();
  model.Calm();
  EXPECT_EQ(model.status().trust.load(), Trust::kExact);
  EXPECT_EQ(model.status().next_seq.load(), model.engine().next_seq());
  EXPECT_EQ(model.status().gaps.load(), 0u);
}

TEST_P(StreamMachineModelTest, LossesWithinTheReplayBuffer) {
  RunAndCalm({.drop = 10, .repeat = 5, .drop_reply = 5, .drop_end = 10, .cut = 2, .burst = 5}, 600);
}

TEST_P(StreamMachineModelTest, LossesBeyondTheReplayBuffer) {
  RunAndCalm({.drop = 15, .drop_reply = 10, .drop_end = 10, .cut = 3, .buffer = 4}, 600);
}

TEST_P(StreamMachineModelTest, DamagedBatches) {
  RunAndCalm({.drop = 3, .damage = 10, .drop_reply = 3, .damage_reply = 1}, 600);
}

TEST_P(StreamMachineModelTest, RestartsAndCuts) {
  RunAndCalm({.drop = 5,
              .repeat = 3,
              .drop_reply = 3,
              .cut = 3,
              .restart = 1,
              .late = 50,
              .early = 50,
              .burst = 5,
              .buffer = 50},
             800);
}

TEST_P(StreamMachineModelTest, NoReplay) {
  RunAndCalm({.drop = 3,
              .repeat = 3,
              .damage = 3,
              .cut = 1,
              .late = 50,
              .early = 50,
              .burst = 5,
              .replay = false},
             600);
  EXPECT_GT(doubt_checks_, 5);
}

TEST_P(StreamMachineModelTest, BurstsThatMayNotBeHeld) {
  RunAndCalm({.drop = 5, .drop_reply = 3, .cut = 1, .burst = 30, .max_held_batches = 8}, 400);
}

TEST_P(StreamMachineModelTest, AnyNetwork) { RunAndCalm(RandomNetwork(GetParam()), 400); }

INSTANTIATE_TEST_SUITE_P(Seeds, StreamMachineModelTest,
                         testing::Range(FromEnvironment("KVROUTE_TEST_SEED", 1),
                                        FromEnvironment("KVROUTE_TEST_SEED", 1) +
                                            FromEnvironment("KVROUTE_MODEL_SEEDS", 20)));

}  // namespace
}  // namespace kvroute
