#ifndef KVROUTE_TOOLS_PLACEMENT_PLACEMENT_POLICY_H_
#define KVROUTE_TOOLS_PLACEMENT_PLACEMENT_POLICY_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "indexer/base/clock.h"
#include "router/policy/policy.h"
#include "tools/fleet/block_key.h"
#include "tools/placement/hardware_profile.h"

namespace kvroute {

// A request that has to go somewhere, as a policy sees it.
struct PlacementQuery {
  uint64_t number = 0;
  Nanos now{0};  // virtual
  uint32_t prompt_tokens = 0;
  uint32_t output_tokens = 0;  // what its client expects
  absl::Span<const BlockKey> prompt_blocks;
  uint32_t conversation = 0;            // equal for the turns of one
  uint32_t previous_prompt_tokens = 0;  // of the turn before; 0: it is the first
  uint64_t tie_break = 0;               // far from those of all other requests
};

// What pools announce, in the order in which it happened: for policies that keep an index of their
// own.
class PoolAnnouncements {
 public:
  virtual ~PoolAnnouncements() = default;
  virtual void Stored(size_t target, const BlockKey* parent, absl::Span<const BlockKey> blocks) = 0;
  virtual void Removed(size_t target, BlockKey block) = 0;
};

// Chooses targets: one published policy each, see docs/placement.md. `targets` have all that
// Candidate has, in the order of their numbers, none left out: the usable match, the loads as
// kvroute's leases count them, and what engines say of themselves.
//
// Thread safety: one thread at a time. Errors: none.
class PlacementPolicy {
 public:
  virtual ~PlacementPolicy() = default;
  // The number of a target.
  virtual size_t Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) = 0;
  // `query` goes to `target`, which Choose returned.
  virtual void Dispatched(const PlacementQuery& /*query*/, const Candidate& /*target*/) {}
  // The first token is out, and the last one.
  virtual void Prefilled(uint64_t /*number*/, size_t /*target*/, Nanos /*now*/) {}
  virtual void Ended(uint64_t /*number*/, size_t /*target*/, Nanos /*now*/) {}

  // False: `targets` need no matches, which takes most of a run's time with many of them.
  virtual bool WantsMatches() const { return true; }
  // nullptr: what pools announce is nothing to it.
  virtual PoolAnnouncements* announcements() { return nullptr; }
};

// What a policy is made for.
struct PolicySetting {
  size_t targets = 0;
  uint32_t block_size_tokens = 0;
  uint32_t max_step_tokens = 0;
  HardwareProfile profile = {};
  uint64_t seed = 1;  // of what it draws
};

struct PolicyEntry {
  std::string name;
  std::function<std::unique_ptr<PlacementPolicy>(const PolicySetting& setting)> make;
};
// All of them, in the order of docs/placement.md.
const std::vector<PolicyEntry>& PlacementPolicies();
// Also "kvroute:POLICY", kvroute asked for that one. nullptr: there is none of the name.
const PolicyEntry* FindPlacementPolicy(const std::string& name);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_PLACEMENT_POLICY_H_
