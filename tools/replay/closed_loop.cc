#include "tools/replay/closed_loop.h"

#include <algorithm>
#include <ctime>
#include <vector>

#include "tools/replay/replay_streams.h"
#include "tools/replay/speed_probe.h"
#include "tools/replay/tick_clock.h"

namespace kvroute {
namespace {

double ThreadProcessorSeconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

class ClosedLoop {
 public:
  ClosedLoop(const Corpus& corpus, ReplayIndex* index)
      : corpus_(corpus), index_(index), streams_(index) {}

  absl::StatusOr<ReplayRun> Run(bool second_half_only) {
    for (const CorpusOperation& op : corpus_.operations) {
      if (absl::Status status = streams_.Introduce(op); !status.ok()) return status;
    }
    Reserve();
    const size_t first_timed = second_half_only ? corpus_.operations.size() / 2 : 0;
    for (size_t i = 0; i < first_timed; ++i) Apply(corpus_.operations[i]);
    Forget();
    const double processor_s = ThreadProcessorSeconds();
    const uint64_t start = TickClock::Now();
    for (size_t i = first_timed; i < corpus_.operations.size(); ++i) {
      if (i % kProbeEvery == 0) TakeProbe();
      Apply(corpus_.operations[i]);
    }
    const uint64_t ticks = TickClock::Now() - start;
    run_.elapsed_s = clock_.Nanos(ticks - untimed_ticks_) * 1e-9;
    run_.probe_ns = probe_.MeanNs(clock_);
    run_.cpu_share = (ThreadProcessorSeconds() - processor_s) / (clock_.Nanos(ticks) * 1e-9);
    return Summarise();
  }

 private:
  static constexpr uint64_t kGivenEvery = 8;
  static constexpr size_t kProbeEvery = 4096;  // operations: some milliseconds

  struct Samples {
    std::vector<float> ns;
    uint64_t blocks = 0;
    void Add(double duration_ns, uint32_t block_count) {
      ns.push_back(static_cast<float>(duration_ns));
      blocks += block_count;
    }
    void Reserve(uint64_t operations) {
      ns.resize(operations);  // touches the pages, so that they are not part of what is timed
      ns.clear();
    }
    void Forget() {
      ns.clear();
      blocks = 0;
    }
  };

  void Reserve() {
    query_.Reserve(corpus_.totals.requests);
    query_chaining_.Reserve(corpus_.totals.requests);
    store_.Reserve(corpus_.totals.stored_events);
    remove_.Reserve(corpus_.totals.removed_events);
    clear_.Reserve(corpus_.totals.cleared_events);
  }

  void Forget() {
    for (Samples* samples : {&query_, &query_chaining_, &store_, &remove_, &clear_}) {
      samples->Forget();
    }
    untimed_ticks_ = 0;
    run_.verified_blocks = run_.checksum = 0;
  }

  void TakeProbe() {
    const uint64_t start = TickClock::Now();
    probe_.Take();
    untimed_ticks_ += TickClock::Now() - start;
  }

  void Apply(const CorpusOperation& op) {
    if (op.kind == OperationKind::kQuery) {
      Query(op);
      return;
    }
    const uint64_t start = TickClock::Now();
    const StreamId stream = streams_.Advance(op).stream;
    uint32_t blocks = op.length;
    Samples* samples = &store_;
    switch (op.kind) {
      case OperationKind::kQuery:
        break;
      case OperationKind::kStored: {
        StoreRequest request;
        if (op.has_parent) request.parent = op.parent;
        request.engine_hashes = corpus_.StoredEngineHashes(op);
        request.local_hashes = corpus_.StoredLocalHashes(op);
        request.tier = op.tier;
        index_->Store(stream, request);
        break;
      }
      case OperationKind::kRemoved:
        index_->Remove(stream, corpus_.Removed(op), op.tier);
        samples = &remove_;
        break;
      case OperationKind::kCleared:
        index_->Clear(stream);
        samples = &clear_;
        blocks = 0;
        break;
    }
    samples->Add(clock_.Nanos(TickClock::Now() - start), blocks);
  }

  // One query in eight is chained before it is asked, so that the index is seen without it.
  void Query(const CorpusOperation& op) {
    const absl::Span<const LocalHash> locals = corpus_.Query(op);
    const bool given = ++queries_ % kGivenEvery == 0;
    const uint64_t start = TickClock::Now();
    uint64_t chained = start;
    if (given) {
      prompt_.clear();
      ChainLocals(locals, &prompt_);
      chained = TickClock::Now();
      index_->Match(prompt_, &result_);
    } else {
      index_->MatchLocals(locals, &prompt_, &result_);
    }
    const uint64_t end = TickClock::Now();
    (given ? query_ : query_chaining_).Add(clock_.Nanos(end - chained), op.length);
    uint32_t deepest = 0;
    for (const StreamMatch& match : result_.matches) {
      deepest = std::max(deepest, match.blocks);
      run_.checksum += match.blocks * (streams_.WorkerOf(match.stream) + 1);
    }
    run_.verified_blocks += deepest;
    untimed_ticks_ += TickClock::Now() - end;
  }

  ReplayRun Summarise() {
    run_.query = OperationTimes::Of(&query_.ns, query_.blocks);
    run_.query_chaining = OperationTimes::Of(&query_chaining_.ns, query_chaining_.blocks);
    run_.store = OperationTimes::Of(&store_.ns, store_.blocks);
    run_.remove = OperationTimes::Of(&remove_.ns, remove_.blocks);
    run_.clear = OperationTimes::Of(&clear_.ns, clear_.blocks);
    run_.stats = index_->Stats();
    return run_;
  }

  const Corpus& corpus_;
  ReplayIndex* const index_;
  const TickClock clock_;
  ReplayStreams streams_;
  std::vector<PrefixHash> prompt_;
  MatchResult result_;
  Samples query_, query_chaining_, store_, remove_, clear_;
  uint64_t queries_ = 0;
  uint64_t untimed_ticks_ = 0;  // spent on the checksum and on probes
  SpeedProbe probe_;
  ReplayRun run_;
};

}  // namespace

absl::StatusOr<ReplayRun> ReplayClosedLoop(const Corpus& corpus, bool second_half_only,
                                           ReplayIndex* index) {
  return ClosedLoop(corpus, index).Run(second_half_only);
}

}  // namespace kvroute
