#ifndef KVROUTE_TOOLS_PLACEMENT_PLACEMENT_SIMULATION_H_
#define KVROUTE_TOOLS_PLACEMENT_PLACEMENT_SIMULATION_H_

#include <cstdint>
#include <memory>
#include <queue>
#include <utility>
#include <vector>

#include "tools/fleet/engine.h"
#include "tools/fleet/leased_loads.h"
#include "tools/placement/lagging_view.h"
#include "tools/placement/placement_policy.h"
#include "tools/placement/placement_workload.h"

namespace kvroute {

// When requests come.
enum class Driving : uint8_t {
  kFlood,  // all at once
  kOpen,   // when the workload says
  // The first turn of a conversation when the workload says; a further one when the turn before has
  // ended and its user has thought.
  kThink,
};

struct PlacementSimulationOptions {
  size_t workers = 16;
  EngineOptions engine;
  HardwareProfile profile;
  Driving driving = Driving::kOpen;
  double time_scale = 1;  // of arrivals and of thinking: below 1 is faster than the workload
  Nanos announcement_lag{0};
  uint64_t tie_seed = 1;
};

// What became of one request.
struct PlacedRequest {
  Nanos arrival{0}, first_token{0}, end{0};
  uint32_t target = 0;
  uint32_t cached_tokens = 0;
};

struct PlacementOutcome {
  std::vector<PlacedRequest> requests;     // as in the workload
  std::vector<uint64_t> prefilled_tokens;  // by worker
  uint64_t preemptions = 0;
  Nanos end{0};  // of the last request
};

// One policy on one workload and one fleet: a discrete-event simulation in virtual time. Of one
// moment the arrivals are first, so that all its requests are placed before an engine takes one up.
// One thread does everything and nothing depends on the wall clock: the same input gives the same
// outcome everywhere.
//
// Thread safety: one thread at a time. Ownership: the workload and the policy must outlive it.
// Errors: a request that no worker can hold is a programmer's (CHECK); see Engine::Fits.
class PlacementSimulation {
 public:
  PlacementSimulation(const PlacementSimulationOptions& options, const PlacementWorkload* workload,
                      PlacementPolicy* policy);
  ~PlacementSimulation();

  // Once only.
  PlacementOutcome Run();

 private:
  using FleetEngine = BasicEngine<BlockKey>;
  class Tap;
  using Timed = std::pair<Nanos, uint32_t>;  // and the number of a request or worker
  using Queue = std::priority_queue<Timed, std::vector<Timed>, std::greater<>>;

  void ArriveAll();
  void Place(uint32_t number);
  void LookAtTargets(absl::Span<const BlockKey> prompt_blocks, uint32_t prompt_tokens);
  uint32_t CountMatched(size_t target, absl::Span<const BlockKey> prompt_blocks) const;
  void StartStep(uint32_t worker);
  void EndStep(uint32_t worker);
  void ScheduleNextTurns(uint32_t number);
  PlacementQuery QueryOf(uint32_t number) const;

  const PlacementSimulationOptions options_;
  const PlacementWorkload* const workload_;
  PlacementPolicy* const policy_;
  Nanos now_{0};
  std::unique_ptr<LaggingView> view_;  // nullptr: matches are read from the pools
  std::vector<std::unique_ptr<Tap>> taps_;
  std::vector<std::unique_ptr<FleetEngine>> engines_;
  LeasedLoads loads_;
  std::vector<Candidate> candidates_;
  Queue arrivals_, step_ends_;
  std::vector<uint32_t> woken_;  // workers that got requests at this moment
  std::vector<StepOutcome> outcomes_;
  std::vector<std::vector<uint32_t>> next_turns_;  // by request, of kThink only
  PlacementOutcome outcome_;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_PLACEMENT_SIMULATION_H_
