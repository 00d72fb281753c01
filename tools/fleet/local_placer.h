#ifndef KVROUTE_TOOLS_FLEET_LOCAL_PLACER_H_
#define KVROUTE_TOOLS_FLEET_LOCAL_PLACER_H_

#include <functional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "router/load/in_flight_prompts.h"
#include "router/policy/policy.h"
#include "tools/fleet/leased_loads.h"
#include "tools/fleet/placer.h"

namespace kvroute {

// Decides by itself, with kvroute's own policy code and the same load accounting as kvroute's
// leases, on the true state of the engines: the oracle of a policy that looks at caches, and the
// plain form of one that does not. Ties are broken as a kvroute whose routing.tie_break_seed is
// `seed` breaks them.
class LocalPlacer : public Placer {
 public:
  // How many leading blocks of the chain the target holds at this moment.
  using CountResident = std::function<uint32_t(size_t target, absl::Span<const Digest> chain)>;

  LocalPlacer(PolicyKind policy, size_t targets, uint32_t block_size_tokens, uint64_t seed,
              CountResident count_resident);

  absl::StatusOr<RequestPlacement> Place(const PlacementRequest& request) override;
  absl::Status Prefilled(uint64_t number) override;
  absl::Status Ended(uint64_t number) override;

 private:
  // What requests before it compute, as kvroute counts it.
  void CountInFlight(const PlacementRequest& request);
  void ForgetPrompt(uint64_t number);

  const PolicyKind policy_;
  const uint32_t block_size_tokens_;
  const uint64_t seed_;
  const CountResident count_resident_;
  uint64_t decisions_ = 0;
  LeasedLoads loads_;
  std::vector<Candidate> candidates_;
  std::vector<LocalHash> local_hashes_;  // of the request that is being placed
  PromptPieces pieces_;                  // its
  InFlightPrompts in_flight_;
  std::vector<InFlightPrompts::Found> found_;
  absl::flat_hash_map<uint64_t, InFlightPrompts::Ticket> tickets_;  // of requests not prefilled
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_FLEET_LOCAL_PLACER_H_
