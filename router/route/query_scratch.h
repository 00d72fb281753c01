#ifndef KVROUTE_ROUTER_ROUTE_QUERY_SCRATCH_H_
#define KVROUTE_ROUTER_ROUTE_QUERY_SCRATCH_H_

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "kvroute/v1/router.pb.h"
#include "router/fleet/fleet_snapshot.h"
#include "router/policy/policy.h"
#include "router/prompt/prompt_parser.h"
#include "router/route/query_handler.h"
#include "router/route/target_matches.h"

namespace kvroute {

struct QueryHandler::Terms {
  PolicyKind policy = PolicyKind::kLmetric;
  uint64_t tie_break = 0;
  size_t runner_ups = 0;
};

// One query as it walks; kept by thread, so that its buffers are used again. The i-th match and the
// i-th candidate are the i-th target of the model.
struct QueryHandler::Scratch {
  std::shared_ptr<const FleetSnapshot> fleet;
  const ModelTargets* model = nullptr;  // of `fleet`
  ParsedPrompt prompt;
  TargetMatches matches;
  // by target: whether the request's candidates name it; empty when it names none
  std::vector<uint8_t> named;
  size_t unknown_named = 0;  // candidates that are no target of the model
  std::vector<Candidate> candidates;
  std::array<uint32_t, kLeftOutCount> left_out{};  // candidates by reason, kNo not counted
  std::vector<uint32_t> order;

  const FleetTarget& target(size_t i) const { return fleet->targets[model->begin + i]; }
  const TargetFacts& facts(size_t i) const { return fleet->facts[model->begin + i]; }

  absl::Status FindModel(const std::string& name);
  absl::Status TakeNamed(const google::protobuf::RepeatedPtrField<v1::Target>& targets);
  bool IsNamed(size_t i) const { return named.empty() || named[i] != 0; }
  // From the matches, the loads and what is known of each target's health.
  void GatherCandidates();
  // UNAVAILABLE, with how many targets were left out for which reason.
  absl::Status WhyNone() const;

  void FillMatch(size_t i, v1::Match* match) const;
  void FillRoute(const Choice& choice, const Terms& terms, v1::RouteResponse* response);
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_ROUTE_QUERY_SCRATCH_H_
