#ifndef KVROUTE_TOOLS_FLEET_SIMULATION_H_
#define KVROUTE_TOOLS_FLEET_SIMULATION_H_

#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "indexer/base/clock.h"
#include "tools/fleet/chain_hasher.h"
#include "tools/fleet/engine.h"
#include "tools/fleet/misbehaviour.h"
#include "tools/fleet/pacer.h"
#include "tools/fleet/phase_clock.h"
#include "tools/fleet/placer.h"
#include "tools/fleet/report.h"
#include "tools/fleet/stream_publisher.h"
#include "tools/workload/trace.h"

namespace kvroute {

// One engine rank of the fleet.
struct SimulatedRank {
  uint32_t worker = 0;
  uint32_t rank = 0;
  std::unique_ptr<StreamPublisher> stream;  // nullptr: publishes nothing; must outlive the engine
  std::unique_ptr<Engine> engine;
  std::unique_ptr<ChainHasher> hasher;
};

struct SimulationOptions {
  double speedup = 0;  // 0: as fast as it can
  uint32_t block_size_tokens = 16;
  std::vector<Misbehaviour> misbehaviours;
  // Called before each placement when set, after held batches have been published; a run in
  // lock-step waits there for kvroute.
  std::function<absl::Status()> before_placement;
  // Called about once a real second.
  std::function<void(uint64_t requests_done, Nanos virtual_now, Nanos behind)> progress;
};

// Runs a workload through a fleet, as a discrete-event simulation in virtual time: arrivals, ends
// of engine steps and misbehaviours in the order of their times; of one moment the arrivals first,
// so that all its requests are placed before an engine takes one up. One thread does everything, so
// that when a request is placed nothing can be published between kvroute's answer and the look into
// the engine that checks it.
//
// Thread safety: one thread at a time. Ownership: all that is given must outlive it.
class Simulation {
 public:
  Simulation(const SimulationOptions& options, absl::Span<const TraceRequest> requests,
             absl::Span<SimulatedRank> ranks, Placer* placer);

  // Until every request has ended. Errors: the placer's. The report lacks what only the caller
  // knows.
  absl::StatusOr<PolicyReport> Run();

 private:
  enum class EventKind : uint8_t { kStepEnd, kMisbehaviour, kWakeUp, kReconnect };
  struct Event {
    Nanos at;
    uint64_t order;  // first scheduled, first served
    EventKind kind;
    size_t index;   // of a rank or of a misbehaviour
    uint64_t life;  // of the rank: the end of a step that a restart cut off means nothing
    bool operator>(const Event& other) const {
      return std::pair(at, order) > std::pair(other.at, other.order);
    }
  };
  struct RankState {
    uint64_t life = 0;
    Nanos asleep_until{0};
  };
  struct RequestState {
    Nanos arrival{0};
    bool first_token = false;
  };

  absl::Status Handle(const Event& event);
  // Places requests [first, end), which arrive now, and gives them to their engines.
  absl::Status Arrive(size_t first, size_t end);
  std::unique_ptr<EngineRequest> MakeRequest(size_t number) const;
  absl::Status PreparePlacement();
  absl::StatusOr<std::vector<RequestPlacement>> Place(
      absl::Span<const std::unique_ptr<EngineRequest>> requests);
  absl::Status EndStep(size_t rank);
  void StartStep(size_t rank);
  absl::Status Misbehave(const Misbehaviour& misbehaviour);
  void SleepFor(size_t rank, uint64_t seconds);
  size_t PromptBlocks(const EngineRequest& request) const;
  void Check(const SimulatedRank& rank, absl::Span<const Digest> prompt_hashes,
             const RequestPlacement& placement);
  void Schedule(Nanos at, EventKind kind, size_t index);
  void AdvanceTo(Nanos at);
  void ServeReplays();
  PolicyReport Report();

  const SimulationOptions options_;
  const absl::Span<const TraceRequest> requests_;
  const absl::Span<SimulatedRank> ranks_;
  Placer* const placer_;
  Pacer pacer_;
  PhaseClock phases_;

  Nanos now_{0};  // virtual
  uint64_t next_order_ = 0;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::vector<RankState> rank_states_;
  std::vector<RequestState> request_states_;
  std::vector<StepOutcome> outcomes_;
  uint64_t requests_done_ = 0;
  uint64_t cached_tokens_ = 0;
  uint64_t prompt_tokens_ = 0;
  PredictionVerdicts predictions_;
  std::vector<DecisionRecord> decisions_;  // by request
  std::vector<double> ttft_ms_;
  Nanos next_serve_{0}, next_progress_{0};  // of the pacer's elapsed time
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_FLEET_SIMULATION_H_
