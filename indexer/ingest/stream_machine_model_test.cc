// Random engines over a network that loses, repeats, damages, delays and cuts, judged by what the
// engine held: whenever the stream says that it is exact, every answer must be the engine's own as
// of the number the stream has come to.
#include <gtest/gtest.h>

#include <deque>
#include <optional>

#include "indexer/ingest/stream_machine.h"
#include "test/support/fake_clock.h"
#include "test/support/model_engine.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;

struct Network {  // chances in percent
  int drop = 0;
  int repeat = 0;
  int damage = 0;
  int drop_reply = 0;
  int drop_end = 0;
  int damage_reply = 0;
  int cut = 0;
  int restart = 0;
  size_t buffer = 1000;  // batches the engine can replay
  bool replay = true;
};

class MachineModel {
 public:
  MachineModel(const Network& network, uint64_t seed)
      : network_(network), random_(seed), engine_(seed) {
    status_.config.worker_id = "model";
    if (network.replay) status_.config.replay_endpoint = "tcp://model:1";
    status_.id = *index_.Open(CopyMode::kCounted);
    options_.replay_timeout = milliseconds(500);
    machine_.emplace(&status_, options_, &decoder_, &index_, &counters_, &clock_);
  }

  void Run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      if (Chance(network_.cut)) SetConnected(!status_.connected.load());
      if (Chance(network_.restart)) RestartEngine();
      if (Chance(60)) Publish();
      Settle(static_cast<int>(random_() % 6));
      Check();
    }
  }

  // Nothing more goes wrong and the engine falls silent.
  void Calm() {
    network_ = Network{.buffer = network_.buffer, .replay = network_.replay};
    SetConnected(true);
    for (int i = 0; i < 4000; ++i) {
      Settle(10);
      Check();
    }
  }

  void Publish(bool clear = false) {
    const uint64_t seq = engine_.next_seq();
    buffer_.emplace_back(seq, clear ? engine_.Clear() : engine_.Step());
    if (buffer_.size() > network_.buffer) buffer_.pop_front();
    const std::string& payload = buffer_.back().second;
    if (!status_.connected.load() || Chance(network_.drop)) return;
    machine_->OnLiveBatch(seq, Chance(network_.damage) ? Damaged(payload) : payload);
    if (Chance(network_.repeat)) machine_->OnLiveBatch(seq, payload);
  }

  void Check() {
    if (status_.trust.load() != Trust::kExact) return;
    ++exact_checks_;
    const uint64_t next = status_.next_seq.load();
    ASSERT_LE(next, engine_.next_seq());
    for (int i = 0; i < 3 && engine_.nodes() > 0; ++i) {
      const auto node = static_cast<uint32_t>(random_() % engine_.nodes());
      MatchResult result;
      index_.Match(engine_.PromptOf(node), &result);
      const uint32_t blocks = result.matches.empty() ? 0 : result.matches[0].blocks;
      ASSERT_EQ(blocks, engine_.HeldAt(next, node)) << "at batch " << next << ", node " << node;
    }
  }

  StreamStatus& status() { return status_; }
  ModelEngine& engine() { return engine_; }
  int exact_checks() const { return exact_checks_; }
  IngestCounters& counters() { return counters_; }

 private:
  bool Chance(int percent) { return static_cast<int>(random_() % 100) < percent; }

  std::string Damaged(std::string payload) {
    payload.resize(payload.size() /
                   2);  // what is damaged so that it still decodes cannot be noticed by anybody
    return payload;
  }

  void SetConnected(bool connected) {
    if (status_.connected.load() == connected) return;
    replies_.reset();
    if (connected) {
      machine_->OnConnected();
    } else {
      machine_->OnDisconnected();
    }
  }

  void RestartEngine() {
    SetConnected(false);
    engine_.Restart();
    buffer_.clear();
    for (uint64_t i = random_() % 4; i > 0; --i) Publish();
  }

  // Some of what the lane does: replies, held batches, time.
  void Settle(int work) {
    for (int i = 0; i < work; ++i) {
      if (const auto from = machine_->TakeReplayRequest()) {
        replies_.emplace();
        for (const auto& [seq, payload] : buffer_) {
          if (seq >= *from) replies_->emplace_back(seq, payload);
        }
      }
      if (!machine_->WantsReplay()) replies_.reset();
      DeliverReply();
      machine_->Drain(1 + random_() % 4);
    }
    clock_.Advance(milliseconds(20));
    machine_->OnTick();
  }

  void DeliverReply() {
    if (!replies_.has_value() || !status_.connected.load()) return;
    if (replies_->empty()) {
      replies_.reset();
      if (!Chance(network_.drop_end)) machine_->OnReplayEnd();
      return;
    }
    const auto [seq, payload] = replies_->front();
    replies_->pop_front();
    if (Chance(network_.drop_reply)) return;
    machine_->OnReplayedBatch(seq, Chance(network_.damage_reply) ? Damaged(payload) : payload);
  }

  Network network_;
  std::mt19937_64 random_;
  ModelEngine engine_;
  FakeClock clock_;
  PrefixIndex index_;
  IngestCounters counters_;
  Decoder decoder_;
  StreamStatus status_;
  IngestOptions options_;
  std::optional<StreamMachine> machine_;
  std::deque<std::pair<uint64_t, std::string>> buffer_;
  std::optional<std::deque<std::pair<uint64_t, std::string>>> replies_;
  int exact_checks_ = 0;
};

class StreamMachineModelTest : public testing::TestWithParam<uint64_t> {
 protected:
  void RunAndCalm(const Network& network, int steps) {
    SCOPED_TRACE(testing::Message() << "seed " << GetParam());
    MachineModel model(network, GetParam());
    model.Run(steps);
    model.Calm();
    EXPECT_NE(model.status().trust.load(), Trust::kSyncing);
    EXPECT_EQ(model.status().held_batches.load(), 0u);
    // An engine that says it holds nothing is a known point, whatever was lost before it.
    model.Publish(/*clear=*/true);
    model.Calm();
    EXPECT_EQ(model.status().trust.load(), Trust::kExact)
        << TrustReasonName(model.status().reason.load());
    EXPECT_EQ(model.status().next_seq.load(), model.engine().next_seq());
    EXPECT_GT(model.exact_checks(), 1000);
  }
};

TEST_P(StreamMachineModelTest, HealthyNetwork) {
  MachineModel model({.cut = 0}, GetParam());
  model.Run(0);
  model.Calm();
  for (int i = 0; i < 200; ++i) model.Publish();
  model.Calm();
  EXPECT_EQ(model.status().trust.load(), Trust::kExact);
  EXPECT_EQ(model.status().next_seq.load(), model.engine().next_seq());
  EXPECT_EQ(model.status().gaps.load(), 0u);
}

TEST_P(StreamMachineModelTest, LossesWithinTheReplayBuffer) {
  RunAndCalm({.drop = 10, .repeat = 5, .drop_reply = 5, .drop_end = 10, .cut = 2}, 600);
}

TEST_P(StreamMachineModelTest, LossesBeyondTheReplayBuffer) {
  RunAndCalm({.drop = 15, .drop_reply = 10, .drop_end = 10, .cut = 3, .buffer = 4}, 600);
}

TEST_P(StreamMachineModelTest, DamagedBatches) {
  RunAndCalm({.drop = 3, .damage = 10, .drop_reply = 3, .damage_reply = 1}, 600);
}

TEST_P(StreamMachineModelTest, RestartsAndCuts) {
  RunAndCalm({.drop = 5, .repeat = 3, .drop_reply = 3, .cut = 3, .restart = 1, .buffer = 50}, 800);
}

TEST_P(StreamMachineModelTest, NoReplay) {
  RunAndCalm({.drop = 3, .repeat = 3, .damage = 3, .cut = 1, .replay = false}, 600);
}

INSTANTIATE_TEST_SUITE_P(Seeds, StreamMachineModelTest, testing::Range(uint64_t{1}, uint64_t{21}));

}  // namespace
}  // namespace kvroute
