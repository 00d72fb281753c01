#ifndef KVROUTE_TOOLS_ENGINE_ENGINE_HOST_H_
#define KVROUTE_TOOLS_ENGINE_ENGINE_HOST_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "indexer/base/clock.h"
#include "indexer/base/mutex.h"
#include "indexer/base/named_thread.h"
#include "tools/engine/generation.h"
#include "tools/fleet/engine.h"
#include "tools/fleet/stream_publisher.h"

namespace kvroute {

// What one rank tells in its metrics. Counters, and the state after its last step.
struct RankCounts {
  std::atomic<uint64_t> waiting{0};
  std::atomic<uint64_t> running{0};
  std::atomic<uint64_t> used_blocks{0};
  std::atomic<uint64_t> prompt_tokens{0};
  std::atomic<uint64_t> cached_tokens{0};  // of them
  std::atomic<uint64_t> generated_tokens{0};
  std::atomic<uint64_t> finished{0};
  std::atomic<uint64_t> aborted{0};
  std::atomic<uint64_t> preemptions{0};
  std::atomic<uint64_t> published_batches{0};
};

struct EngineHostOptions {
  EngineOptions engine = {};
  WireStyle style = WireStyle::kVllmMap;
  double speedup = 1;  // simulated seconds a real second
  // By engine and rank; the number of ranks is the same for all.
  std::vector<std::vector<StreamEndpoints>> streams = {};
};

// Runs many simulated engines in real time on one thread: their steps, their event sockets and the
// replays they are asked for. Each rank is an Engine (tools/fleet/engine.h) with a StreamPublisher.
//
// Thread safety: every method from any thread. Errors: Start names the socket that cannot be bound.
// Whatever has not finished when it stops fails, and so does what is submitted later.
class EngineHost {
 public:
  // A request that was given to a rank.
  struct Submitted {
    std::shared_ptr<Generation> generation;
    uint64_t number = 0;
    size_t engine = 0;
  };

  static absl::StatusOr<std::unique_ptr<EngineHost>> Start(const EngineHostOptions& options);
  ~EngineHost() { Stop(); }
  EngineHost(const EngineHost&) = delete;
  EngineHost& operator=(const EngineHost&) = delete;

  // Ends the thread. Idempotent.
  void Stop();

  // To that rank, or the one with the fewest requests. INVALID_ARGUMENT: no such rank, or longer
  // than the whole cache.
  absl::StatusOr<Submitted> Submit(size_t engine, std::optional<uint32_t> rank,
                                   GenerationSpec spec);
  // Its client has gone away.
  void Cancel(const Submitted& submitted);

  // Steps take so many times longer.
  void SetSlowdown(size_t engine, double factor);
  // Empties the prefix caches before the next step; running requests begin anew.
  void ClearCache(size_t engine);
  // The process dies: requests fail, sockets close.
  void Kill(size_t engine);
  // It is back: caches empty, sequence numbers from 0.
  void Revive(size_t engine);

  size_t engines() const { return options_.streams.size(); }
  uint32_t ranks() const { return static_cast<uint32_t>(options_.streams.front().size()); }
  const EngineOptions& engine_options() const { return options_.engine; }
  WireStyle style() const { return options_.style; }
  const RankCounts& counts(size_t engine, uint32_t rank) const {
    return ranks_[engine * ranks() + rank]->counts;
  }
  // As bound, with the port the system chose.
  const StreamEndpoints& endpoints(size_t engine, uint32_t rank) const {
    return ranks_[engine * ranks() + rank]->endpoints;
  }

 private:
  struct Rank {
    RankCounts counts;
    StreamEndpoints endpoints;
    // The thread's.
    std::unique_ptr<StreamPublisher> stream;
    std::unique_ptr<Engine> engine;
    absl::flat_hash_map<uint64_t, std::shared_ptr<Generation>> generations;
    uint64_t life = 0;  // the end of a step of an earlier life means nothing
    double slowdown = 1;
    bool stepping = false;
    bool dead = false;
  };
  struct StepEnd {
    Nanos at;
    size_t rank;
    uint64_t life;
    bool operator>(const StepEnd& other) const { return at > other.at; }
  };

  explicit EngineHost(const EngineHostOptions& options);
  absl::Status Open();
  std::unique_ptr<Engine> NewEngine(Rank* rank) const;

  // Has the thread do it. False: there is none any more.
  bool Post(std::function<void()> work);
  void PostForRanks(size_t engine, std::function<void(Rank*)> work);
  void Run();
  // False: it is to end.
  bool TakeWork(std::vector<std::function<void()>>* work);
  Nanos UntilNext() const;

  // Of the thread.
  void Accept(size_t engine, std::optional<uint32_t> rank, std::unique_ptr<EngineRequest> request,
              std::shared_ptr<Generation> generation);
  void Forget(const Submitted& submitted);
  void StartStep(size_t rank);
  void EndSteps();
  void EndStep(size_t rank);
  void TellCounts(Rank* rank);
  void FailAll(Rank* rank);
  void ServeReplays();

  const EngineHostOptions options_;
  const Clock* const clock_ = &Clock::Real();
  ZmqContext context_;
  std::vector<std::unique_ptr<Rank>> ranks_;
  std::atomic<uint64_t> next_number_{1};

  // The thread's.
  std::priority_queue<StepEnd, std::vector<StepEnd>, std::greater<>> step_ends_;
  std::vector<StepOutcome> outcomes_;
  Nanos next_serve_{0};
  size_t next_served_ = 0;

  Mutex mutex_;
  CondVar changed_;
  std::vector<std::function<void()>> posted_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  NamedThread thread_;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_ENGINE_ENGINE_HOST_H_
