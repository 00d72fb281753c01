#ifndef KVROUTE_ROUTER_FLEET_DISCOVERY_KUBE_RULES_H_
#define KVROUTE_ROUTER_FLEET_DISCOVERY_KUBE_RULES_H_

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "indexer/base/log.h"
#include "router/fleet/discovery/kube_watch.h"
#include "router/fleet/request_rules.h"

namespace kvroute {

// What of requests is read from Kubernetes.
enum class KubeRuleKind : uint8_t { kObjectives, kRewrites };
inline constexpr auto kKubeRuleKindNames =
    NamesUpTo<KubeRuleKind::kRewrites>("objectives", "rewrites");

// The groups in which these kinds are, llm-d's first; of two objects of one name its counts.
inline constexpr size_t kKubeRuleGroups = 2;

struct KubeRuleCounts {
  std::array<KubeWatchCounts, kKubeRuleGroups> watches;
  std::atomic<uint64_t> left_out{0};  // objects, or parts of one, that could not be used
};

// Reads the InferenceObjectives and InferenceModelRewrites of a pool's namespace, and publishes
// what they say. A cluster need not have such kinds; nobody waits for them.
//
// Thread safety: everything on the client's thread, but counts() from any. Ownership: client and
// `rules` outlive it.
class KubeRules {
 public:
  // `watch`: its server and pauses. `pool`: only those of it; empty: all.
  KubeRules(HttpClient* client, const KubeWatchOptions& watch, const std::string& kube_namespace,
            std::string pool, PublishedRequestRules* rules);
  KubeRules(const KubeRules&) = delete;
  KubeRules& operator=(const KubeRules&) = delete;

  void Start();
  const KubeRuleCounts& counts(KubeRuleKind kind) const {
    return counts_[static_cast<size_t>(kind)];
  }

 private:
  using Rules = std::map<std::string, std::shared_ptr<const KubeRule>>;  // by name
  // Of one kind, in one group.
  struct Seen {
    Rules rules;
    std::unique_ptr<KubeWatch> watch;
  };

  void OnList(KubeRuleKind kind, Rules* rules, std::vector<KubeObject> objects);
  void OnEvent(KubeRuleKind kind, Rules* rules, KubeChange change, const KubeObject& object);
  void Take(KubeRuleKind kind, Rules* rules, const KubeObject& object);
  void LeaveOut(KubeRuleKind kind, const KubeObject& object, std::string_view why);
  size_t Targets() const;  // of all rewrites
  void Publish();

  HttpClient* const client_;
  const std::string pool_;
  PublishedRequestRules* const rules_;
  std::array<KubeRuleCounts, kKubeRuleKindNames.size()> counts_;
  std::array<std::array<Seen, kKubeRuleGroups>, kKubeRuleKindNames.size()> seen_;
  LogLimiter limiter_{std::chrono::seconds(10)};
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_DISCOVERY_KUBE_RULES_H_
