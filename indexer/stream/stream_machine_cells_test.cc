// The table of states and inputs: the docs print it, and every cell of it happens.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "test/support/printed_table.h"
#include "test/support/stream_machine_fixture.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;

// What never happened of what the table says may happen.
std::string Unvisited(const VisitedCells& visited) {
  std::string missing;
  for (size_t i = 0; i < kStreamStateCount; ++i) {
    for (size_t j = 0; j < kStreamInputCount; ++j) {
      const StateCell& cell = kStateTable[i][j];
      if (cell.reaction == StreamReaction::kNever) continue;
      const std::string name = std::string(StreamStateName(static_cast<StreamState>(i))) + " x " +
                               std::string(StreamInputName(static_cast<StreamInput>(j)));
      if (visited.visits[i][j] == 0) missing += "\n  " + name;
      for (size_t k = 0; k < kStreamStateCount; ++k) {
        const auto to = static_cast<StreamState>(k);
        if (!cell.leads_to.Contains(to) || visited.led_to[i][j].Contains(to)) continue;
        missing += "\n  " + name + " -> " + std::string(StreamStateName(to));
      }
    }
  }
  return missing;
}

// A stream to which anything is done in any order, though most often what a lane would do next.
class RandomScript : public StreamScript {
 public:
  RandomScript(uint64_t seed, VisitedCells* visited) : random_(seed) {
    if (OneIn(6)) status_.config.replay_endpoint.clear();
    options_.replay_attempts = 1 + static_cast<int>(random_() % 3);
    options_.replay_timeout = milliseconds(500);
    options_.replay_limit = milliseconds(OneIn(2) ? 800 : 3000);
    options_.fresh_start_after = milliseconds(600);
    options_.max_held_batches = OneIn(4) ? 2 : 100;
    Machine().CountVisits(visited);
    const auto up_to = [this](uint64_t most) {
      return static_cast<double>(random_() % (most + 1));
    };
    often_ = {up_to(2), up_to(1), up_to(3), up_to(4), 1 + up_to(3), 1 + up_to(6), up_to(10)};
  }

  void Run(int steps) {
    for (; steps > 0; --steps) {
      Do(static_cast<Action>(often_(random_)));
      if (const auto from = Machine().TakeReplayRequest()) next_reply_ = Near(*from);
    }
  }
  // A request is running exactly in the states that are there for it, and what is exact is current.
  void Check() {
    const StreamState state = Machine().state();
    const bool asks = CellOf(state, StreamInput::kNoReplyInTime).reaction != StreamReaction::kNever;
    EXPECT_EQ(Machine().WantsReplay(), asks) << StreamStateName(state);
    EXPECT_EQ(status_.connected.load(), IsConnected(state)) << StreamStateName(state);
    if (status_.trust.load() != Trust::kExact) return;
    EXPECT_TRUE(IsConnected(state) && !IsConflict(state)) << StreamStateName(state);
    EXPECT_TRUE(state != StreamState::kVerifying && state != StreamState::kCatchingUp)
        << StreamStateName(state);
  }

 private:
  enum class Action { kConnection, kOtherLife, kEnd, kDrain, kTime, kLive, kReply };
  static constexpr size_t kLives = 3;
  static constexpr uint64_t kBatches = 40;

  void Do(Action action) {
    switch (action) {
      case Action::kConnection:
        return OneIn(3) ? Machine().OnDisconnected() : Machine().OnConnected();
      case Action::kOtherLife:
        life_ = random_() % kLives;
        return;
      case Action::kEnd:
        return Machine().OnReplayEnd();
      case Action::kDrain:
        Machine().Drain(1 + random_() % 3);
        return;
      case Action::kTime:
        return Wait(milliseconds(OneIn(8) ? 2500 : OneIn(2) ? 550 : 90));
      case Action::kLive: {
        const uint64_t seq = Near(status_.next_seq.load());
        return Machine().OnLiveBatch(seq, Payload(seq));
      }
      case Action::kReply:
        Machine().OnReplayedBatch(next_reply_, Payload(next_reply_));
        next_reply_ = std::min(next_reply_ + (OneIn(8) ? 2 : 1), kBatches - 1);
    }
  }
  bool OneIn(uint64_t n) { return random_() % n == 0; }
  // The number expected, or one near it.
  uint64_t Near(uint64_t seq) {
    const uint64_t by = OneIn(3) ? random_() % 4 : 0;
    return std::min(OneIn(2) ? seq + by : seq - std::min(seq, by), kBatches - 1);
  }
  std::string_view Payload(uint64_t seq) {
    static const auto* const kPayloads = new auto(MakePayloads());
    const size_t life = OneIn(30) ? random_() % kLives : life_;
    const std::string_view payload = (*kPayloads)[life][seq];
    return OneIn(20) ? payload.substr(0, payload.size() / 2) : payload;
  }
  static std::array<std::vector<std::string>, kLives> MakePayloads() {
    std::array<std::vector<std::string>, kLives> payloads;
    for (size_t life = 0; life < kLives; ++life) {
      ModelEngine engine(life);
      for (uint64_t seq = 0; seq < kBatches; ++seq) payloads[life].push_back(engine.Step());
    }
    return payloads;
  }

  std::mt19937_64 random_;
  std::discrete_distribution<int> often_;
  size_t life_ = 0;
  uint64_t next_reply_ = 0;
};

// What no luck brings about, step by step.
class DirectedScript : public StreamScript {
 public:
  explicit DirectedScript(VisitedCells* visited) : visited_(visited) {}

  // An engine has restarted behind each of many connections and is not known behind the last.
  void AlmostInConflictAndVerifying() {
    Start();
    for (size_t life = 1; life < RestartGuard::kMaxAcrossConnections; ++life) {
      Reconnect();
      Machine().OnReplayEnd();
      Reply(5, life);
    }
    Reconnect();
    ASSERT_EQ(Machine().state(), StreamState::kVerifying);
  }
  void LiveRestartIntoConflict() { Live(0, kUnknownLife); }
  void ReplyRestartIntoConflict() { Machine().OnReplayedBatch(4, Batch(4, kUnknownLife)); }
  void ReplayEndIntoConflict() { Machine().OnReplayEnd(); }

  void DamagedCopyOfWhatIsHeldWhileSplicing() {
    Start();
    Live(6);
    for (const uint64_t seq : {4, 5, 7}) Machine().OnReplayedBatch(seq, Batch(seq));
    Machine().OnReplayEnd();
    Machine().Drain(1);
    Damaged(7);
  }
  void ProbeBeforeASuspectIsApplied() {
    options_.replay_limit = milliseconds(3000);
    Start();
    Reconnect();
    for (const uint64_t seq : {4, 5}) Machine().OnReplayedBatch(seq, Batch(seq));
    Damaged(6);
    Wait(options_.replay_limit);
    Wait(milliseconds(100));
    Machine().Drain(1);
  }
  void DamagedWhileStartingAfreshThoughExact() {
    Machine().CountVisits(visited_);
    Machine().OnConnected();
    for (int i = 0; i < options_.replay_attempts; ++i) Wait(options_.replay_timeout);
    Wait(options_.fresh_start_after);
    Machine().OnLiveBatch(7, ModelEngine(1).Clear());
    Damaged(8);
  }

 private:
  static constexpr size_t kUnknownLife = RestartGuard::kMaxAcrossConnections;

  void Start() {
    Machine().CountVisits(visited_);
    StartInSync(5);
  }
  void Damaged(uint64_t seq) {
    const std::string& payload = Batch(seq);
    Machine().OnLiveBatch(seq, payload.substr(0, payload.size() / 2));
  }

  VisitedCells* const visited_;
};

TEST(StreamMachineCellsTest, EveryCellAndEveryChangeOfStateHappens) {
  VisitedCells visited;
  for (uint64_t seed = 1; seed <= 600 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    RandomScript script(seed, &visited);
    for (int i = 0; i < 40; ++i) {
      script.Run(10);
      script.Check();
    }
  }
  for (const auto into_conflict :
       {&DirectedScript::LiveRestartIntoConflict, &DirectedScript::ReplyRestartIntoConflict,
        &DirectedScript::ReplayEndIntoConflict}) {
    DirectedScript script(&visited);
    script.AlmostInConflictAndVerifying();
    (script.*into_conflict)();
  }
  DirectedScript(&visited).DamagedCopyOfWhatIsHeldWhileSplicing();
  DirectedScript(&visited).ProbeBeforeASuspectIsApplied();
  DirectedScript(&visited).DamagedWhileStartingAfreshThoughExact();
  EXPECT_EQ(Unvisited(visited), "") << "never happened";
}

TEST(StreamMachineCellsTest, TheDocsPrintTheTable) {
  ExpectPageShows("docs/life-of-an-event.md", "the table of states", "StateTableMarkdown",
                  StateTableMarkdown());
}

}  // namespace
}  // namespace kvroute
