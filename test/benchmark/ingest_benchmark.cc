// Events over real sockets: engines' PUB sockets, TCP on this machine, the lanes' SUB sockets,
// decoded and applied. The publishers are one thread of this process and share its cores.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "indexer/base/check.h"
#include "indexer/base/clock.h"
#include "indexer/base/log.h"
#include "indexer/index/prefix_index.h"
#include "indexer/source/zmq/zmq_source.h"
#include "test/benchmark/support/processor_time.h"
#include "test/benchmark/support/sampler.h"
#include "test/benchmark/support/wire_events.h"
#include "tools/publisher/zmq_publisher.h"

namespace kvroute {
namespace {

constexpr size_t kBlocks = 8;  // an event; a batch has one

// Engines that publish in turns to an ingest with one lane.
class Fleet {
 public:
  explicit Fleet(size_t workers) {
    KVROUTE_CHECK(ConfigureLog({.level = "warning", .format = "text"}).ok());
    absl::StatusOr<std::unique_ptr<ZmqSource>> source =
        ZmqSource::Start(ZmqSourceOptions{}, &registry_, &counters_, &Clock::Real());
    KVROUTE_CHECK(source.ok());
    source_ = *std::move(source);
    for (size_t i = 0; i < workers; ++i) AddWorker(i);
    while (!AllExact()) ServeAll();
  }

  void PublishNext() {
    const size_t worker = published_ % engines_.size();
    engines_[worker]->Publish(events_[worker].Payload(engines_[worker]->next_seq()));
    ++published_;
  }
  // Batches under way: published and not yet visible.
  uint64_t Queued() const {
    uint64_t visible = 0;
    for (const auto& stream : streams_) visible += stream->next_seq.load();
    return published_ - std::min(published_, visible);
  }
  // Answers replays meanwhile, as an engine does.
  void WaitUntilQueued(uint64_t at_most) {
    while (Queued() > at_most) {
      ServeAll();
      std::this_thread::yield();
    }
  }
  uint64_t published() const { return published_; }
  uint64_t Missing() const {
    uint64_t missing = 0;
    for (const auto& stream : streams_) missing += stream->missing_batches.load();
    return missing;
  }

 private:
  void AddWorker(size_t i) {
    events_.emplace_back(i + 1, kBlocks, /*chains=*/32, /*held=*/16);
    absl::StatusOr<std::unique_ptr<ZmqPublisher>> engine = ZmqPublisher::Create(&context_, {});
    KVROUTE_CHECK(engine.ok());
    engines_.push_back(*std::move(engine));
    StreamConfig config;
    config.worker_id = "worker-" + std::to_string(i);
    config.event_endpoint = engines_.back()->event_endpoint();
    config.replay_endpoint = engines_.back()->replay_endpoint();
    auto stream = source_->AddStream(config);
    KVROUTE_CHECK(stream.ok());
    streams_.push_back(*std::move(stream));
    PublishNext();
  }
  void ServeAll() {
    for (const auto& engine : engines_) engine->Serve();
  }
  bool AllExact() const {
    for (const auto& stream : streams_) {
      if (stream->trust.load() != Trust::kExact || stream->next_seq.load() == 0) return false;
    }
    return true;
  }

  PrefixIndex index_;
  StreamRegistry registry_{&index_, limits::kMaxStreams};
  IngestCounters counters_;
  ZmqContext context_;
  std::vector<WireEvents> events_;
  std::vector<std::unique_ptr<ZmqPublisher>> engines_;
  std::vector<std::shared_ptr<const StreamStatus>> streams_;
  uint64_t published_ = 0;
  std::unique_ptr<ZmqSource> source_;  // stops first
};

double Since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// As fast as it goes with at most 8,192 batches under way.
void IngestThroughput(benchmark::State& state) {
  constexpr uint64_t kEvents = 200'000;
  Fleet fleet(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    const uint64_t missing = fleet.Missing();
    const double processor = ProcessorSeconds();
    const auto start = std::chrono::steady_clock::now();
    for (uint64_t i = 0; i < kEvents; ++i) {
      if (i % 256 == 0) fleet.WaitUntilQueued(8'192 - 256);
      fleet.PublishNext();
    }
    fleet.WaitUntilQueued(0);
    const double elapsed = Since(start);
    state.counters["events_per_s"] = kEvents / elapsed;
    state.counters["blocks_per_s"] = kEvents * kBlocks / elapsed;
    state.counters["cores_used"] = (ProcessorSeconds() - processor) / elapsed;
    state.counters["error_rate"] = static_cast<double>(fleet.Missing() - missing) / kEvents;
  }
}
BENCHMARK(IngestThroughput)
    ->ArgName("workers")
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond)
    ->Arg(1)
    ->Arg(16)
    ->Arg(128);

// Events at a fixed rate by the clock, whatever the lane does: how many batches wait in the
// sockets, and how long after the last one until all are visible.
void IngestBurst(benchmark::State& state) {
  const auto total = static_cast<uint64_t>(state.range(0));
  const double interval_s = static_cast<double>(state.range(1)) * 1e-3 / static_cast<double>(total);
  Fleet fleet(16);
  for (auto _ : state) {
    const uint64_t missing = fleet.Missing();
    uint64_t deepest = 0;
    const auto start = std::chrono::steady_clock::now();
    for (uint64_t i = 0; i < total; ++i) {
      for (double wait = 0; (wait = interval_s * static_cast<double>(i) - Since(start)) > 0;) {
        if (wait > 1e-3) std::this_thread::sleep_for(std::chrono::microseconds(500));
      }
      fleet.PublishNext();
      if (i % 16 == 0) deepest = std::max(deepest, fleet.Queued());
    }
    const double published_s = Since(start);
    fleet.WaitUntilQueued(0);
    state.counters["recovery_ms"] = (Since(start) - published_s) * 1e3;
    state.counters["deepest_queue"] = static_cast<double>(deepest);
    state.counters["events_per_s"] = static_cast<double>(total) / Since(start);
    state.counters["error_rate"] =
        static_cast<double>(fleet.Missing() - missing) / static_cast<double>(total);
  }
}
BENCHMARK(IngestBurst)
    ->ArgNames({"events", "ms"})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond)
    ->Args({1'000, 100});
BENCHMARK(IngestBurst)
    ->Name("IngestBurst/full")
    ->ArgNames({"events", "ms"})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond)
    ->Args({10'000, 5'000})
    ->Args({1'000'000, 5'000});

void IngestFloor(benchmark::State& state) { MeasureFloor(state); }
BENCHMARK(IngestFloor);

}  // namespace
}  // namespace kvroute
