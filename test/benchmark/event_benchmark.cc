// Events from wire bytes to visible in the index: EventProcessingLatency, EventThroughput,
// BurstLoad.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "indexer/base/check.h"
#include "indexer/base/named_thread.h"
#include "indexer/event/decoder.h"
#include "indexer/index/prefix_index.h"
#include "indexer/ingest/stream_applier.h"
#include "test/benchmark/support/sampler.h"
#include "test/benchmark/support/wire_events.h"

namespace kvroute {
namespace {

// One stream's half of the event walk, without sockets.
class Receiver {
 public:
  Receiver(PrefixIndex* index, IngestCounters* counters) {
    const absl::StatusOr<StreamId> id = index->Open(CopyMode::kCounted);
    KVROUTE_CHECK(id.ok());
    status_.id = *id;
    applier_ = std::make_unique<StreamApplier>(&status_, limits::kMaxPendingBytesPerStream, index,
                                               counters);
  }

  bool Receive(const std::string& payload) {
    DecodedBatch batch;
    if (decoder_.Decode(payload, &batch) != DecodeReason::kOk) return false;
    return applier_->Apply(batch).fault == TrustReason::kNone && batch.skipped.empty();
  }

 private:
  StreamStatus status_;
  Decoder decoder_;
  std::unique_ptr<StreamApplier> applier_;
};

// One event of `blocks` blocks of 16 tokens at a time: half store a chain, half remove the oldest.
void EventProcessingLatency(benchmark::State& state) {
  const WireEvents events(/*seed=*/1, static_cast<size_t>(state.range(0)), /*chains=*/256,
                          /*held=*/128);
  PrefixIndex index;
  IngestCounters counters;
  Receiver receiver(&index, &counters);
  for (size_t i = 0; i < events.cycle_length(); ++i) receiver.Receive(events.Payload(i));
  Sampler removals;
  Sampler stores;
  size_t turn = 0;
  uint64_t failed = 0;
  for (auto _ : state) {
    const std::string& payload = events.Payload(turn);
    (turn++ % 2 == 0 ? removals : stores).Time([&] { failed += !receiver.Receive(payload); });
  }
  const auto blocks = static_cast<double>(state.range(0));
  state.counters["stored_blocks_per_s"] = stores.count() == 0 ? 0 : blocks * 1e9 / stores.MeanNs();
  stores.Report(&state, "store_");
  stores.Merge(removals);
  stores.Report(&state);
  state.counters["events_per_s"] = 1e9 / stores.MeanNs();
  state.counters["failed"] = static_cast<double>(failed);
}
BENCHMARK(EventProcessingLatency)->ArgName("blocks")->Arg(1)->Arg(8)->Arg(64)->Arg(512);

void EventFloor(benchmark::State& state) { MeasureFloor(state); }
BENCHMARK(EventFloor);

double ProcessorSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// `workers` streams on `lanes` threads, each lane round its streams, all into one index.
void EventThroughput(benchmark::State& state) {
  const auto workers = static_cast<size_t>(state.range(0));
  const auto lanes = static_cast<size_t>(state.range(1));
  constexpr size_t kBlocks = 8;
  constexpr size_t kEventsPerLane = 100'000;
  PrefixIndex index;
  IngestCounters counters;
  std::vector<std::unique_ptr<WireEvents>> events;
  std::vector<std::unique_ptr<Receiver>> receivers;
  for (size_t i = 0; i < workers; ++i) {
    events.push_back(std::make_unique<WireEvents>(i + 1, kBlocks, 32, 16));
    receivers.push_back(std::make_unique<Receiver>(&index, &counters));
  }
  for (auto _ : state) {
    std::atomic<uint64_t> failed{0};
    const double processor = ProcessorSeconds();
    const auto start = std::chrono::steady_clock::now();
    {
      std::vector<NamedThread> threads;
      for (size_t lane = 0; lane < lanes; ++lane) {
        threads.emplace_back("lane-" + std::to_string(lane), [&, lane] {
          const size_t mine = (workers - lane + lanes - 1) / lanes;
          for (size_t i = 0; i < kEventsPerLane; ++i) {
            const size_t worker = lane + i % mine * lanes;
            if (!receivers[worker]->Receive(events[worker]->Payload(i / mine))) failed.fetch_add(1);
          }
        });
      }
    }
    const double elapsed =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const auto total = static_cast<double>(lanes * kEventsPerLane);
    state.counters["events_per_s"] = total / elapsed;
    state.counters["blocks_per_s"] = total * kBlocks / elapsed;
    state.counters["error_rate"] = static_cast<double>(failed.load()) / total;
    state.counters["cores_used"] = (ProcessorSeconds() - processor) / elapsed;
  }
}
BENCHMARK(EventThroughput)
    ->ArgNames({"workers", "lanes"})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond)
    ->Args({16, 1})
    ->Args({16, 2})
    ->Args({256, 1})
    ->Args({256, 2});

// `rate` events a second for `seconds`, by the clock, into one lane: how late it gets, how long the
// queue grows, and how long after the last event it is empty. A lane that is behind finds its next
// event due already: the backlog is what is due and not yet done.
void BurstLoad(benchmark::State& state) {
  const auto total = static_cast<size_t>(state.range(0));
  const double seconds = static_cast<double>(state.range(1)) * 1e-3;
  const WireEvents events(1, 8, 256, 128);
  for (auto _ : state) {
    PrefixIndex index;
    IngestCounters counters;
    Receiver receiver(&index, &counters);
    Sampler latency;
    size_t deepest = 0;
    const double interval_s = seconds / static_cast<double>(total);
    const auto start = std::chrono::steady_clock::now();
    const auto elapsed = [&] {
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    double now = 0;
    for (size_t i = 0; i < total; ++i) {
      const double due = interval_s * static_cast<double>(i);
      for (now = elapsed(); now < due; now = elapsed()) {
        if (due - now > 1e-3) std::this_thread::sleep_for(std::chrono::microseconds(500));
      }
      const auto arrived = std::min(total, static_cast<size_t>(now / interval_s) + 1);
      deepest = std::max(deepest, arrived - i);
      receiver.Receive(events.Payload(i));
      latency.AddNanos((elapsed() - due) * 1e9);
    }
    latency.Report(&state);
    state.counters["deepest_queue"] = static_cast<double>(deepest);
    state.counters["recovery_ms"] = std::max(0.0, (elapsed() - seconds) * 1e3);
    state.counters["events_per_s"] = static_cast<double>(total) / elapsed();
  }
}
BENCHMARK(BurstLoad)
    ->ArgNames({"events", "ms"})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond)
    ->Args({1'000, 100})
    ->Args({100'000, 500});
BENCHMARK(BurstLoad)
    ->Name("BurstLoad/full")
    ->ArgNames({"events", "ms"})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond)
    ->Args({10'000, 5'000})
    ->Args({1'000'000, 5'000});

}  // namespace
}  // namespace kvroute
