#ifndef KVROUTE_TOOLS_PLACEMENT_POLICIES_SMG_POLICY_H_
#define KVROUTE_TOOLS_PLACEMENT_POLICIES_SMG_POLICY_H_

#include <vector>

#include "absl/container/flat_hash_map.h"
#include "tools/placement/placement_policy.h"

namespace kvroute {

// SMG's cache_aware of September 2026: those of the longest match (all, if nobody has any) that are
// not far more loaded than the mean, and of these the one that is done first:
//   (tokens queued at the last poll + sent since) / throughput + 0.15 k / (1 - k)  seconds
// for a KV usage of k. Engines are polled every 10 s.
class SmgPolicy : public PlacementPolicy {
 public:
  explicit SmgPolicy(const PolicySetting& setting) : polled_(setting.targets) {}
  size_t Choose(const PlacementQuery& query, absl::Span<const Candidate> targets) override;
  void Dispatched(const PlacementQuery& query, const Candidate& target) override;
  void Prefilled(uint64_t number, size_t target, Nanos now) override;

 private:
  struct Polled {
    double queued_tokens = 0;  // at the poll, and sent since
    double kv_usage = 0;
    double tokens_per_second = 0;  // 0: it has computed nothing
    double prefilled_tokens = 0;   // since the poll
  };
  void Poll(Nanos now, absl::Span<const Candidate> targets);
  double SecondsUntilDone(const Candidate& candidate) const;

  std::vector<Polled> polled_;
  Nanos polled_at_{0};
  absl::flat_hash_map<uint64_t, uint64_t> uncached_tokens_;  // by request, until it is prefilled
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_POLICIES_SMG_POLICY_H_
