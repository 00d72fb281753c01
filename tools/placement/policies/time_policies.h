#ifndef KVROUTE_TOOLS_PLACEMENT_POLICIES_TIME_POLICIES_H_
#define KVROUTE_TOOLS_PLACEMENT_POLICIES_TIME_POLICIES_H_

#include "tools/placement/placement_policy.h"
#include "tools/placement/policies/prefill_queue.h"

namespace kvroute {

// What policies have in common that count prefills in time.
class PrefillTimePolicy : public PlacementPolicy {
 public:
  explicit PrefillTimePolicy(const PolicySetting& setting)
      : profile_(setting.profile), queue_(setting.targets) {}
  void Dispatched(const PlacementQuery& query, const Candidate& target) override;
  void Prefilled(uint64_t number, size_t target, Nanos now) override;

 protected:
  double PrefillMs(const Candidate& candidate) const;
  // Behind the prefills that are outstanding.
  double FirstTokenMs(const Candidate& candidate) const;

 private:
  const HardwareProfile profile_;
  PrefillQueue queue_;
};

// SMetric: the target with the longest hit keeps the request if the hit is more than half of what
// is expected (the turn before) and the estimated time to the first token is within 1 s + 62.5 ms
// for each 1,000 tokens; else the least prefill time * (requests in flight + 1).
class SmetricPolicy : public PrefillTimePolicy {
 public:
  using PrefillTimePolicy::PrefillTimePolicy;
  size_t Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) override;
};

// Mooncake's Algorithm 1 where no pool can be fetched from: the least time until the first token,
// i.e. prefills outstanding and this one. Its pool would shorten the prefill of targets with less.
class MooncakePolicy : public PrefillTimePolicy {
 public:
  using PrefillTimePolicy::PrefillTimePolicy;
  size_t Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) override;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_POLICIES_TIME_POLICIES_H_
