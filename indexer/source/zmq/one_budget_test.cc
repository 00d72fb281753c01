// The worst of every input at once, from engines over real sockets: the process stays below its
// memory limit, each stream says what became of it, no match is too long, and once the engines that
// filled the index are gone the others are exact and complete.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "indexer/base/memory_budget.h"
#include "indexer/source/zmq/zmq_source.h"
#include "test/support/model_engine.h"
#include "test/support/sanitized.h"
#include "test/support/wire_builder.h"
#include "tools/publisher/zmq_publisher.h"

namespace kvroute {
namespace {

using namespace wire;

constexpr uint64_t kLimit = uint64_t{192} << 20;

// The most that was ever resident, in bytes. 0 where a sanitizer's own heap would be counted.
uint64_t PeakResidentBytes() {
  if (kSanitized) return 0;
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("VmHWM:", 0) == 0) return std::stoull(line.substr(6)) * 1024;
  }
  ADD_FAILURE() << "no VmHWM in /proc/self/status";
  return 0;
}

std::string ArrayOf(size_t count, const std::function<std::string(size_t)>& value) {
  std::string out = Head(0xdd, count, 4);
  for (size_t i = 0; i < count; ++i) out += value(i);
  return out;
}
std::string Stored(uint64_t first_hash, size_t blocks, const std::string& parent,
                   const std::string& extra_keys = kNil) {
  return Array(
      {Str("BlockStored"),
       ArrayOf(blocks,
               [&](size_t i) { return Head(0xcf, (first_hash + i) * 0x9e3779b97f4a7c15u, 8); }),
       parent, ArrayOf(blocks, [&](size_t i) { return Uint((first_hash + i) & 0xffff'ffff); }),
       Uint(1), kNil, Str("GPU"), kNil, extra_keys});
}
std::string BatchOf(size_t events, const std::function<std::string(size_t)>& event) {
  return Array({Double(1.0), ArrayOf(events, event), Uint(0)});
}

std::string Clear() { return Array({Double(1.0), Array({Array({Str("AllBlocksCleared")})})}); }

// An engine of which only the sockets are real: what it says is made up batch by batch.
struct MadeUpEngine {
  std::string name;
  std::function<std::string(uint64_t)> batch;
  std::unique_ptr<ZmqPublisher> publisher;
  std::shared_ptr<const StreamStatus> stream;

  std::string State() const {
    return name + ": " + std::string(TrustName(stream->trust.load())) + " (" +
           std::string(TrustReasonName(stream->reason.load())) + ")";
  }
  bool Says(Trust trust, TrustReason reason) const {
    return stream->trust.load() == trust && stream->reason.load() == reason;
  }
};

class OneBudgetTest : public testing::Test {
 protected:
  static constexpr uint64_t kRounds = 30;  // the index is full after some 23

  OneBudgetTest() {
    options_.stream.held_memory = &held_;
    options_.stream.pending_memory = &budgets_.of(MemoryPart::kPending);
    options_.received_memory = &budgets_.of(MemoryPart::kReceived);
    // No engine is given up for its silence, and whoever was cut back asks as soon as it may.
    options_.stream.replay_timeout = options_.stream.replay_limit = std::chrono::minutes(10);
    options_.stream.fresh_start_after = std::chrono::milliseconds(50);
    source_ = *ZmqSource::Start(options_, &registry_, &counters_, &Clock::Real());
    good_sockets_ = *ZmqPublisher::Create(&sockets_, {});
    good_stream_ = Follow("good", good_sockets_.get(), /*replay=*/true);
  }

  std::shared_ptr<const StreamStatus> Follow(const std::string& name, ZmqPublisher* publisher,
                                             bool replay) {
    StreamConfig config;
    config.worker_id = name;
    config.event_endpoint = publisher->event_endpoint();
    if (replay) config.replay_endpoint = publisher->replay_endpoint();
    return *source_->AddStream(config);
  }
  MadeUpEngine MakeUp(const std::string& name, bool replay,
                      std::function<std::string(uint64_t)> batch, size_t replayable = 1) {
    // What it would keep for replays is in this process, too.
    auto publisher =
        *ZmqPublisher::Create(&sockets_, {.buffer_steps = replayable, .send_high_water_mark = 4});
    auto stream = Follow(name, publisher.get(), replay);
    return {name, std::move(batch), std::move(publisher), std::move(stream)};
  }
  // The good engine and the late one answer replays meanwhile.
  bool Until(const std::function<bool()>& condition,
             std::chrono::milliseconds patience = std::chrono::seconds(60)) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      if (late_.publisher != nullptr) late_.publisher->Serve();
      good_sockets_->Serve(std::chrono::milliseconds(1));
    }
    return true;
  }
  static bool IsThere(const MadeUpEngine& engine) {
    return engine.stream->next_seq.load() == engine.publisher->next_seq();
  }

  // What an engine publishes before its subscriber is known to it is lost; after a clear that comes
  // nothing is missing.
  bool Begin(MadeUpEngine* engine) {
    return Until([&] {
      engine->publisher->Publish(Clear());
      return Until([&] { return IsThere(*engine); }, std::chrono::milliseconds(200));
    });
  }
  // Its first batch never comes and no replay is answered: what it publishes is held.
  bool BeginHeld() {
    held_engine_.publisher->faults().drop_live = 1;
    return Until([&] {
      held_engine_.publisher->Publish(Clear());
      return Until([&] { return held_engine_.stream->held_batches.load() > 0; },
                   std::chrono::milliseconds(200));
    });
  }

  // A batch of each. The next when these have come, so that it is the streams' memory and not the
  // senders' queues.
  void Round(uint64_t round) {
    const uint64_t held = held_engine_.stream->held_batches.load() + held_.refused();
    uint64_t bytes = 0;
    const auto publish = [&](MadeUpEngine& engine) {
      const std::string batch = engine.batch(round);
      bytes += batch.size();
      engine.publisher->Publish(batch);
    };
    publish(held_engine_);
    for (MadeUpEngine& engine : bad_) publish(engine);
    largest_round_ = std::max(largest_round_, bytes);
    for (int i = 0; i < 5; ++i) good_sockets_->Publish(good_.StepWithoutClear());
    for (const MadeUpEngine& engine : bad_) {
      ASSERT_TRUE(Until([&] { return IsThere(engine); })) << round << " " << engine.State();
    }
    ASSERT_TRUE(Until([&] {
      return held_engine_.stream->held_batches.load() + held_.refused() > held;
    })) << round
        << " " << held_engine_.State();
    ASSERT_TRUE(Until([&] { return good_stream_->next_seq.load() == good_sockets_->next_seq(); }))
        << round;
    ASSERT_LE(index_.UsedBytes(), budgets_.of(MemoryPart::kIndex).limit());
    for (const MemoryPart part : {MemoryPart::kHeld, MemoryPart::kPending, MemoryPart::kReceived}) {
      ASSERT_LE(budgets_.of(part).used(), budgets_.of(part).limit()) << MemoryPartName(part);
    }
  }

  void ExpectOfGood(bool complete) {
    for (uint32_t node = 0; node < good_.nodes(); ++node) {
      MatchResult result;
      index_.Match(good_.PromptOf(node), &result);
      uint32_t blocks = 0;
      for (const StreamMatch& match : result.matches) {
        if (match.stream == good_stream_->id) blocks = match.blocks;
      }
      const uint32_t holds = good_.HeldAt(good_.next_seq(), node);
      ASSERT_LE(blocks, holds) << "node " << node;
      ASSERT_TRUE(!complete || blocks == holds)
          << "node " << node << ": " << blocks << " of " << holds;
    }
  }

  void MakeUpBadEngines();
  // One that comes when the index is full, and does nothing wrong.
  void BeginLate() {
    ASSERT_FALSE(index_.HasRoomAgain());
    late_ = MakeUp(
        "late", true,
        [](uint64_t batch) {
          return BatchOf(1, [&](size_t) {
            return Stored((uint64_t{6} << 40) + batch * kLateBlocks / 2, kLateBlocks / 2, kNil);
          });
        },
        /*replayable=*/2);
    for (uint64_t batch = 0; batch < 2; ++batch) late_.publisher->Publish(late_.batch(batch));
    ASSERT_TRUE(Until([&] {
      return IsThere(late_) && late_.Says(Trust::kDegraded, TrustReason::kMemoryLimit);
    })) << late_.State();
    EXPECT_LT(late_.stream->holdings.load(), kLateBlocks);
  }

  static constexpr uint64_t kLateBlocks = 200'000;
  MemoryBudgets budgets_{kLimit};
  MemoryBudget& held_ = budgets_.of(MemoryPart::kHeld);
  ZmqSourceOptions options_;
  PrefixIndex index_{
      PrefixIndexOptions{.max_streams = 64, .memory = &budgets_.of(MemoryPart::kIndex)}};
  StreamRegistry registry_{&index_, 64};
  IngestCounters counters_;
  ZmqContext sockets_;
  std::unique_ptr<ZmqSource> source_;
  ModelEngine good_{7};
  std::unique_ptr<ZmqPublisher> good_sockets_;
  std::shared_ptr<const StreamStatus> good_stream_;
  std::vector<MadeUpEngine> bad_;
  MadeUpEngine held_engine_;
  MadeUpEngine late_;
  uint64_t largest_round_ = 0;  // of the made-up engines' batches, in bytes
};

void OneBudgetTest::MakeUpBadEngines() {
  bad_.push_back(MakeUp("stores and never removes", false, [](uint64_t batch) {
    return BatchOf(1, [&](size_t) { return Stored(batch * 100'000, 100'000, kNil); });
  }));
  bad_.push_back(MakeUp("one block an event", false, [](uint64_t batch) {
    return BatchOf(10'000, [&](size_t i) {
      return Stored((uint64_t{1} << 40) + batch * 10'000 + i, 1, kNil);
    });
  }));
  bad_.push_back(MakeUp("extra keys of nothing", false, [](uint64_t batch) {
    const std::string nils = ArrayOf(1 << 20, [](size_t) { return kNil; });
    const std::string some = ArrayOf(4'000, [](size_t) { return kNil; });
    return BatchOf(200, [&](size_t i) {
      return Stored((uint64_t{2} << 40) + batch * 200 + i, 1, kNil, Array({i == 0 ? nils : some}));
    });
  }));
  bad_.push_back(MakeUp("parents that never come", false, [](uint64_t batch) {
    return BatchOf(8'000, [&](size_t i) {
      return Stored((uint64_t{3} << 40) + batch * 8'000 + i, 1,
                    Uint(1'000'000 + batch * 8'000 + i));
    });
  }));
  bad_.push_back(MakeUp("copies in every tier", false, [](uint64_t batch) {
    return BatchOf(4'000, [&](size_t i) {
      const uint64_t block = (uint64_t{4} << 40) + batch * 1'000 + i / 4;
      if (i % 4 == 0) return Stored(block, 1, kNil);
      return Array({Str("BlockStored"),
                    ArrayOf(1, [&](size_t) { return Head(0xcf, block * 0x9e3779b97f4a7c15u, 8); }),
                    kNil, Array({}), Uint(1), kNil,
                    Str(i % 4 == 1   ? "CPU"
                        : i % 4 == 2 ? "DISK"
                                     : "REMOTE")});
    });
  }));
  held_engine_ = MakeUp("a replay that never comes", true, [](uint64_t batch) {
    return BatchOf(
        1, [&](size_t) { return Stored((uint64_t{5} << 40) + batch * 60'000, 60'000, kNil); });
  });
}

TEST_F(OneBudgetTest, TheWorstOfEverythingAtOnceStaysBelowIt) {
  MakeUpBadEngines();
  for (MadeUpEngine& engine : bad_) ASSERT_TRUE(Begin(&engine)) << engine.State();
  ASSERT_TRUE(BeginHeld()) << held_engine_.State();
  for (uint64_t round = 0; round < kRounds; ++round) {
    ASSERT_NO_FATAL_FAILURE(Round(round));
    ASSERT_NO_FATAL_FAILURE(ExpectOfGood(/*complete=*/false));
  }
  // The engines are in this process, too: what they publish is kept for a replay and in their
  // queue.
  EXPECT_LE(PeakResidentBytes(), kLimit + 2 * largest_round_);
  ASSERT_NO_FATAL_FAILURE(BeginLate());
  EXPECT_GT(counters_.Blocks(EngineKind::kAuto, BlockOutcome::kCutBack), 0u);
  EXPECT_GT(held_.refused(), 0u);
  EXPECT_GT(budgets_.of(MemoryPart::kPending).refused(), 0u);
  // Each says what became of it.
  EXPECT_TRUE(bad_[0].Says(Trust::kDegraded, TrustReason::kMemoryLimit)) << bad_[0].State();
  EXPECT_TRUE(bad_[1].Says(Trust::kDegraded, TrustReason::kMemoryLimit)) << bad_[1].State();
  EXPECT_TRUE(bad_[2].Says(Trust::kDegraded, TrustReason::kDecodeErrors)) << bad_[2].State();
  EXPECT_TRUE(bad_[3].Says(Trust::kDegraded, TrustReason::kPendingOverflow)) << bad_[3].State();
  EXPECT_TRUE(bad_[4].Says(Trust::kDegraded, TrustReason::kMemoryLimit)) << bad_[4].State();
  EXPECT_EQ(held_engine_.stream->trust.load(), Trust::kSyncing) << held_engine_.State();
  EXPECT_TRUE(good_stream_->trust.load() == Trust::kExact ||
              good_stream_->reason.load() == TrustReason::kMemoryLimit);

  // With room again, those that did nothing wrong are complete.
  for (const MadeUpEngine& engine : bad_) source_->RemoveStream(engine.stream->id);
  source_->RemoveStream(held_engine_.stream->id);
  ASSERT_TRUE(Until([&] { return index_.HasRoomAgain(); })) << index_.UsedBytes();
  ASSERT_TRUE(Until([&] { return good_stream_->trust.load() == Trust::kExact; }))
      << TrustReasonName(good_stream_->reason.load());
  ExpectOfGood(/*complete=*/true);
  ASSERT_TRUE(Until([&] { return late_.stream->trust.load() == Trust::kExact; })) << late_.State();
  EXPECT_EQ(late_.stream->holdings.load(), kLateBlocks);
  EXPECT_EQ(held_.used(), 0u);
  EXPECT_EQ(budgets_.of(MemoryPart::kPending).used(), 0u);
  source_->Stop();
}

}  // namespace
}  // namespace kvroute
