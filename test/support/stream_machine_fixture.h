#ifndef KVROUTE_TEST_SUPPORT_STREAM_MACHINE_FIXTURE_H_
#define KVROUTE_TEST_SUPPORT_STREAM_MACHINE_FIXTURE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "indexer/stream/stream_machine.h"
#include "test/support/fake_clock.h"
#include "test/support/model_engine.h"

namespace kvroute {

// A stream without sockets, to which a test hands batch by batch what an engine publishes and
// replays.
class StreamScript {
 public:
  // What the index may take.
  explicit StreamScript(uint64_t index_bytes = MemoryBudget::kUnlimited)
      : index_memory_(index_bytes) {
    status_.config.worker_id = "worker";
    status_.config.replay_endpoint = "tcp://engine:1";
    status_.id = *index_.Open(CopyMode::kCounted);
  }

  StreamMachine& Machine() {
    if (!machine_) {
      machine_.emplace(&status_, options_, &decoder_, &index_, &counters_, &clock_);
    }
    return *machine_;
  }
  // Batch `number` of one life of an engine; lives differ in what they publish.
  const std::string& Batch(size_t number, size_t life = 0) {
    while (lives_.size() <= life) {
      lives_.emplace_back();
      engines_.emplace_back(lives_.size());
    }
    while (lives_[life].size() <= number) lives_[life].push_back(engines_[life].Step());
    return lives_[life][number];
  }
  void Live(uint64_t seq, size_t life = 0) { Machine().OnLiveBatch(seq, Batch(seq, life)); }
  // The engine answers the replay that was asked for with the batches up to `end`.
  void Reply(uint64_t end, size_t life = 0, bool says_end = true) {
    ReplyFrom(0, end, life, says_end);
  }
  // The same, of what is left of those before `first`: nothing.
  void ReplyFrom(uint64_t first, uint64_t end, size_t life = 0, bool says_end = true) {
    const auto from = Machine().TakeReplayRequest();
    ASSERT_TRUE(from.has_value());
    for (uint64_t seq = std::max(first, *from); seq < end; ++seq) {
      Machine().OnReplayedBatch(seq, Batch(seq, life));
      if (Machine().HasReplayRequest()) return;  // what is still to come of this one is dropped
    }
    if (says_end) Machine().OnReplayEnd();
    while (Machine().Drain(100)) {
    }
  }
  void StartInSync(uint64_t batches) {
    Machine().OnConnected();
    Reply(batches);
    ASSERT_EQ(status_.trust.load(), Trust::kExact);
  }
  void Reconnect() {
    Machine().OnDisconnected();
    Machine().OnConnected();
  }
  void Wait(Nanos time) {
    clock_.Advance(time);
    Machine().OnTick();
  }

  FakeClock clock_;
  MemoryBudget index_memory_;
  PrefixIndex index_{PrefixIndexOptions{.memory = &index_memory_}};
  IngestCounters counters_;
  Decoder decoder_;
  StreamStatus status_;
  StreamOptions options_;
  std::deque<ModelEngine> engines_;  // which do not move
  std::vector<std::vector<std::string>> lives_;
  std::optional<StreamMachine> machine_;
};

// A test of one stream. What holds whatever happens is the model test's.
class StreamMachineFixture : public testing::Test, protected StreamScript {};

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_STREAM_MACHINE_FIXTURE_H_
