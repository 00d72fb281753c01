#ifndef KVROUTE_TOOLS_FLEET_FLEET_RUN_H_
#define KVROUTE_TOOLS_FLEET_FLEET_RUN_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "indexer/event/event_encoder.h"
#include "router/policy/policy.h"
#include "tools/fleet/engine.h"
#include "tools/fleet/misbehaviour.h"
#include "tools/fleet/report.h"
#include "tools/workload/trace.h"

namespace kvroute {

struct PolicySpec {
  std::string name;  // as given: the key of its report
  PolicyKind kind = PolicyKind::kWork;
  bool asks_kvroute = true;  // else the same code decides on the engines' true state
};

// work, lmetric, lpwl, prefix: asked of kvroute. round_robin, random, least_loaded: decided here,
// they need no knowledge of caches. oracle:POLICY: decided here, on the true pools. kvroute:POLICY:
// asked of kvroute, whatever the policy.
absl::StatusOr<PolicySpec> ParsePolicySpec(const std::string& name);

struct SimulatedFleetOptions {
  std::string kvroute;  // host:port; only needed by policies that ask it
  // of one call, and until all streams are exact; long, because a busy machine is no failure
  std::chrono::milliseconds kvroute_timeout{120'000};
  uint32_t workers = 16;
  uint32_t ranks = 1;  // data-parallel, of each worker
  EngineOptions engine;
  std::vector<WireStyle> styles = {WireStyle::kVllmMap};  // given to the workers in turn
  // The runs that ask kvroute keep pace with the wall clock, `speedup` virtual seconds a second.
  // Else they run in lock-step: each decision waits until kvroute has applied all that was
  // published.
  bool paced = false;
  double speedup = 60;
  uint64_t seed = 1;  // of ties; in lock-step also kvroute's routing.tie_break_seed
  std::vector<Misbehaviour> misbehaviours;
  // Called by every run, about once a second, at the same time when runs go side by side.
  std::function<void(const std::string& policy, uint64_t requests_done, Nanos virtual_now,
                     Nanos behind)>
      progress;
};

// INVALID_ARGUMENT when the pool of a rank cannot hold one of the requests, or a misbehaviour names
// nobody.
absl::Status CheckWorkload(const SimulatedFleetOptions& options,
                           absl::Span<const TraceRequest> requests);

// Runs the workload through a fresh fleet under one policy. Engines that a policy asks kvroute
// about are registered under new ids and deregistered afterwards; the others publish nothing.
// Errors: those of kvroute and of the sockets.
absl::StatusOr<PolicyReport> RunPolicy(const SimulatedFleetOptions& options,
                                       const PolicySpec& policy,
                                       absl::Span<const TraceRequest> requests);

// All of them, in this order. In lock-step a few side by side, since nothing depends on the wall
// clock; else one after another. `done` is called after each, by its own thread. Errors: the first
// policy's that has one, with the policy's name in front.
absl::StatusOr<std::vector<PolicyReport>> RunPolicies(
    const SimulatedFleetOptions& options, absl::Span<const PolicySpec> policies,
    absl::Span<const TraceRequest> requests,
    const std::function<void(const PolicySpec& policy, const PolicyReport& report)>& done);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_FLEET_FLEET_RUN_H_
