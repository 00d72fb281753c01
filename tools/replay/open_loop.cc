#include "tools/replay/open_loop.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "indexer/base/named_thread.h"
#include "tools/replay/replay_streams.h"
#include "tools/replay/tick_clock.h"

namespace kvroute {
namespace {

struct Schedule {
  uint64_t first_deadline_ns = 0;
  double ticks_per_deadline_ns = 1;
  std::atomic<uint64_t> start_tick{0};  // 0: not yet

  uint64_t Due(const CorpusOperation& op) const {
    return start_tick.load(std::memory_order_relaxed) +
           static_cast<uint64_t>(static_cast<double>(op.deadline_ns - first_deadline_ns) *
                                 ticks_per_deadline_ns);
  }
};

void PinTo(uint32_t lane) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(lane % std::thread::hardware_concurrency(), &set);
  pthread_setaffinity_np(pthread_self(), sizeof(set),
                         &set);  // refused in some containers: then it floats
}

// Sleeps while the time left is long against a wake-up, then watches the clock.
void WaitUntil(uint64_t tick, const TickClock& clock) {
  constexpr double kWakeUpNs = 200'000;
  for (uint64_t now = TickClock::Now(); now < tick; now = TickClock::Now()) {
    const double left_ns = clock.Nanos(tick - now);
    if (left_ns > 2 * kWakeUpNs) {
      std::this_thread::sleep_for(
          std::chrono::nanoseconds(static_cast<int64_t>(left_ns - kWakeUpNs)));
    }
  }
}

class Lane {
 public:
  Lane(const Corpus& corpus, ReplayIndex* index, const TickClock* clock)
      : corpus_(corpus), index_(index), clock_(clock), streams_(index) {}

  absl::Status Introduce(const CorpusOperation& op) { return streams_.Introduce(op); }
  void Take(const CorpusOperation* op) { operations_.push_back(op); }

  void Apply(const CorpusOperation& op) {
    if (op.kind == OperationKind::kQuery) {
      index_->MatchLocals(corpus_.Query(op), &prompt_, &result_);
      return;
    }
    const StreamId stream = streams_.Advance(op).stream;
    if (op.kind == OperationKind::kCleared) {
      index_->Clear(stream);
    } else if (op.kind == OperationKind::kRemoved) {
      index_->Remove(stream, corpus_.Removed(op), op.tier);
    } else {
      StoreRequest request;
      if (op.has_parent) request.parent = op.parent;
      request.engine_hashes = corpus_.StoredEngineHashes(op);
      request.local_hashes = corpus_.StoredLocalHashes(op);
      request.tier = op.tier;
      index_->Store(stream, request);
    }
  }

  void Run(const Schedule& schedule) {
    latencies_ns_.resize(operations_.size());
    while (schedule.start_tick.load(std::memory_order_acquire) == 0) std::this_thread::yield();
    for (size_t i = 0; i < operations_.size(); ++i) {
      const uint64_t due = schedule.Due(*operations_[i]);
      WaitUntil(due, *clock_);
      last_issue_ = TickClock::Now();
      Apply(*operations_[i]);
      last_completion_ = TickClock::Now();
      latencies_ns_[i] = static_cast<float>(clock_->Nanos(last_completion_ - due));
      if (operations_[i]->kind == OperationKind::kQuery) CountVerified();
    }
  }

  void AddTo(std::vector<float> latencies[4], uint64_t blocks[4]) const {
    for (size_t i = 0; i < operations_.size(); ++i) {
      const auto kind = static_cast<size_t>(operations_[i]->kind);
      latencies[kind].push_back(latencies_ns_[i]);
      blocks[kind] += operations_[i]->length;
    }
  }
  uint64_t verified_blocks() const { return verified_blocks_; }
  uint64_t last_issue() const { return last_issue_; }
  uint64_t last_completion() const { return last_completion_; }

 private:
  void CountVerified() {
    uint32_t deepest = 0;
    for (const StreamMatch& match : result_.matches) deepest = std::max(deepest, match.blocks);
    verified_blocks_ += deepest;
  }

  const Corpus& corpus_;
  ReplayIndex* const index_;
  const TickClock* const clock_;
  ReplayStreams streams_;
  std::vector<const CorpusOperation*> operations_;
  std::vector<float> latencies_ns_;
  std::vector<PrefixHash> prompt_;
  MatchResult result_;
  uint64_t verified_blocks_ = 0;
  uint64_t last_issue_ = 0;
  uint64_t last_completion_ = 0;
};

double WindowNs(const Corpus& corpus, const OpenLoopOptions& options, uint64_t deadline_span_ns,
                uint64_t block_ops) {
  if (options.offered_block_ops > 0) {
    return static_cast<double>(block_ops) / options.offered_block_ops * 1e9;
  }
  if (options.window_ns == 0 || corpus.header.reference_window_ns == 0) {
    return static_cast<double>(deadline_span_ns);
  }
  return static_cast<double>(deadline_span_ns) * static_cast<double>(options.window_ns) /
         static_cast<double>(corpus.header.reference_window_ns);
}

class OpenLoop {
 public:
  OpenLoop(const Corpus& corpus, const OpenLoopOptions& options, ReplayIndex* index)
      : corpus_(corpus), options_(options), index_(index) {
    for (uint32_t i = 0; i < options.query_lanes + options.event_lanes; ++i) {
      lanes_.push_back(std::make_unique<Lane>(corpus, index, &clock_));
    }
  }

  absl::StatusOr<ReplayRun> Run() {
    const size_t first = options_.second_half_only ? corpus_.operations.size() / 2 : 0;
    for (size_t i = 0; i < corpus_.operations.size(); ++i) {
      const CorpusOperation& op = corpus_.operations[i];
      Lane& lane = LaneOf(op, i);
      if (absl::Status status = lane.Introduce(op); !status.ok()) return status;
    }
    for (size_t i = 0; i < first; ++i) {
      LaneOf(corpus_.operations[i], i).Apply(corpus_.operations[i]);
    }
    for (size_t i = first; i < corpus_.operations.size(); ++i) {
      LaneOf(corpus_.operations[i], i).Take(&corpus_.operations[i]);
    }
    const double window_ns = Plan(first);
    RunLanes();
    return Summarise(window_ns);
  }

 private:
  Lane& LaneOf(const CorpusOperation& op, size_t position) {
    if (op.kind == OperationKind::kQuery) return *lanes_[position % options_.query_lanes];
    return *lanes_[options_.query_lanes + op.worker_id % options_.event_lanes];
  }

  double Plan(size_t first) {
    uint64_t block_ops = 0;
    for (size_t i = first; i < corpus_.operations.size(); ++i) {
      block_ops += corpus_.operations[i].length;
    }
    const bool empty = first == corpus_.operations.size();
    schedule_.first_deadline_ns = empty ? 0 : corpus_.operations[first].deadline_ns;
    const uint64_t span_ns =
        empty ? 0 : corpus_.operations.back().deadline_ns - schedule_.first_deadline_ns;
    const double window_ns = WindowNs(corpus_, options_, span_ns, block_ops);
    const double scale = span_ns == 0 ? 0 : window_ns / static_cast<double>(span_ns);
    schedule_.ticks_per_deadline_ns = scale / clock_.Nanos(1);
    return window_ns;
  }

  void RunLanes() {
    std::vector<NamedThread> threads;
    for (uint32_t i = 0; i < lanes_.size(); ++i) {
      threads.emplace_back(absl::StrCat("lane-", i), [this, i] {
        if (options_.pin) PinTo(i);
        lanes_[i]->Run(schedule_);
      });
    }
    schedule_.start_tick.store(TickClock::Now() + clock_.Ticks(10e6), std::memory_order_release);
  }

  ReplayRun Summarise(double window_ns) {
    ReplayRun run;
    std::vector<float> latencies[4];
    uint64_t blocks[4] = {};
    uint64_t last_issue = 0;
    uint64_t last_completion = 0;
    for (const std::unique_ptr<Lane>& lane : lanes_) {
      lane->AddTo(latencies, blocks);
      run.verified_blocks += lane->verified_blocks();
      last_issue = std::max(last_issue, lane->last_issue());
      last_completion = std::max(last_completion, lane->last_completion());
    }
    run.query_chaining = OperationTimes::Of(&latencies[0], blocks[0]);
    run.store = OperationTimes::Of(&latencies[1], blocks[1]);
    run.remove = OperationTimes::Of(&latencies[2], blocks[2]);
    run.clear = OperationTimes::Of(&latencies[3], blocks[3]);
    const uint64_t start = schedule_.start_tick.load();
    ReplayRun::OpenLoop open;
    open.window_s = window_ns * 1e-9;
    if (last_completion > start) {
      open.issue_span_s = clock_.Nanos(last_issue - start) * 1e-9;
      run.elapsed_s = clock_.Nanos(last_completion - start) * 1e-9;
    }
    run.open = open;
    run.stats = index_->Stats();
    return run;
  }

  const Corpus& corpus_;
  const OpenLoopOptions options_;
  ReplayIndex* const index_;
  const TickClock clock_;
  Schedule schedule_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace

absl::StatusOr<ReplayRun> ReplayOpenLoop(const Corpus& corpus, const OpenLoopOptions& options,
                                         ReplayIndex* index) {
  return OpenLoop(corpus, options, index).Run();
}

}  // namespace kvroute
