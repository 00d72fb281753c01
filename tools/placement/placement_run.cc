#include "tools/placement/placement_run.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "indexer/base/clock.h"
#include "tools/placement/policies/product_policy.h"

namespace kvroute {
namespace {

absl::Status CheckWorkload(const PlacementRunOptions& options, const PlacementWorkload& workload) {
  const uint64_t size = workload.block_size_tokens();
  const uint64_t capacity = options.fleet.engine.capacity_blocks * size;
  for (size_t i = 0; i < workload.requests().size(); ++i) {
    const WorkloadRequest& request = workload.requests()[i];
    const uint64_t tokens = uint64_t{request.prompt_tokens} + request.output_tokens;
    if (tokens <= capacity) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("request ", i, ": ", tokens, " tokens; a worker's pool has ", capacity));
  }
  if (workload.duration() > Nanos(0)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "the workload's requests all come at one moment: no load can be made of them");
}

double RateOf(const PlacementWorkload& workload) {
  return static_cast<double>(workload.requests().size()) /
         std::chrono::duration<double>(workload.duration()).count();
}

double MeasureCapacity(const PlacementRunOptions& options, const PlacementWorkload& workload) {
  ProductPolicy least_loaded(PolicyKind::kLeastLoaded);
  PlacementSimulationOptions fleet = options.fleet;
  fleet.driving = Driving::kFlood;
  fleet.tie_seed = options.seed;
  const PlacementOutcome outcome = PlacementSimulation(fleet, &workload, &least_loaded).Run();
  return static_cast<double>(workload.requests().size()) /
         std::chrono::duration<double>(outcome.end).count();
}

PlacementFigures RunOnce(const PlacementRunOptions& options, const PlacementWorkload& workload,
                         const PolicyEntry& entry, double time_scale, uint64_t seed) {
  PlacementSimulationOptions fleet = options.fleet;
  fleet.driving = options.driving;
  fleet.time_scale = time_scale;
  fleet.tie_seed = seed;
  const auto policy = entry.make({.targets = fleet.workers,
                                  .block_size_tokens = workload.block_size_tokens(),
                                  .max_step_tokens = fleet.engine.max_step_tokens,
                                  .profile = fleet.profile,
                                  .seed = seed});
  FigureOptions figures = options.figures;
  figures.first_token_ms = fleet.profile.first_token_ms;
  return FiguresOf(PlacementSimulation(fleet, &workload, policy.get()).Run(), workload, figures);
}

double SecondsSince(Nanos start) {
  return std::chrono::duration<double>(Clock::Real().Monotonic() - start).count();
}

}  // namespace

absl::StatusOr<PlacementRun> RunPlacement(
    const PlacementRunOptions& options, const PlacementWorkload& workload,
    const std::function<void(const std::string& what, double seconds)>& progress) {
  if (absl::Status status = CheckWorkload(options, workload); !status.ok()) return status;
  PlacementRun run;
  run.ladder = MeasureLadder(
      workload, uint64_t{options.fleet.engine.capacity_blocks} * options.fleet.workers);
  Nanos start = Clock::Real().Monotonic();
  run.capacity_rps = options.capacity_rps;
  if (run.capacity_rps == 0 && !options.policies.empty()) {
    run.capacity_rps = MeasureCapacity(options, workload);
    progress("capacity", SecondsSince(start));
  }
  for (const double load : options.loads) {
    LoadResult& result = run.loads.emplace_back();
    result.load = load;
    result.offered_rps = load * run.capacity_rps;
    for (const PolicyEntry* entry : options.policies) {
      PolicyResult& policy = result.policies.emplace_back();
      policy.name = entry->name;
      for (uint32_t i = 0; i < options.repetitions; ++i) {
        start = Clock::Real().Monotonic();
        policy.repetitions.push_back(RunOnce(
            options, workload, *entry, RateOf(workload) / result.offered_rps, options.seed + i));
        progress(absl::StrFormat("load %g, %s", load, entry->name), SecondsSince(start));
      }
    }
  }
  return run;
}

}  // namespace kvroute
