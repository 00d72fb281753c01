#ifndef KVROUTE_ROUTER_FLEET_DISCOVERY_KUBERNETES_H_
#define KVROUTE_ROUTER_FLEET_DISCOVERY_KUBERNETES_H_

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "router/fleet/discovery/found_engine.h"
#include "router/fleet/discovery/kube_rules.h"
#include "router/fleet/discovery/kube_watch.h"
#include "router/fleet/discovery/pod_set.h"

namespace kvroute {

struct KubernetesOptions {
  KubeServer server;           // url empty: that of the cluster kvroute runs in
  std::string kube_namespace;  // empty: that which kvroute runs in
  std::string pool;      // name of an InferencePool; empty: none, `selector` and `ports` count
  std::string selector;  // "app=vllm,tier=gpu"
  std::vector<uint32_t> ports = {8000};
  bool request_rules = true;  // InferenceObjectives and InferenceModelRewrites are read, too
  std::chrono::milliseconds not_ready_grace{300'000};
  EngineDefaults engines;
  std::chrono::milliseconds retry_min{200};
  std::chrono::milliseconds retry_max{30'000};
};

// Fills in what is empty: from the environment and the files of the pod that kvroute runs in.
// Errors: FAILED_PRECONDITION: it runs in none.
absl::Status FillFromCluster(KubernetesOptions* options);

struct KubernetesCounts {
  KubeWatchCounts pool;
  KubeWatchCounts pods;
  std::atomic<bool> has_pool{false};  // there is one of that name, and it can be used
  std::atomic<uint64_t> known_pods{0};
};

// Finds engines in Kubernetes: the pods of an InferencePool, or of a label selector. Its workers
// are named <namespace>/<pod>, a rank for each port.
//
// Thread safety: made and destroyed on any thread but the client's; callbacks run on that.
// Ownership: the client outlives it.
class KubernetesDiscovery {
 public:
  KubernetesDiscovery(HttpClient* client, const KubernetesOptions& options, OnWorkers on_workers);
  ~KubernetesDiscovery();
  KubernetesDiscovery(const KubernetesDiscovery&) = delete;
  KubernetesDiscovery& operator=(const KubernetesDiscovery&) = delete;

  const KubernetesCounts& counts() const { return counts_; }
  bool uses_pool() const { return !options_.pool.empty(); }
  // What the cluster says of requests; nullptr: it is not asked.
  const PublishedRequestRules* request_rules() const {
    return rules_ == nullptr ? nullptr : &request_rules_;
  }
  const KubeRuleCounts& counts(KubeRuleKind kind) const { return rules_->counts(kind); }

 private:
  void Start();
  void OnPools(const std::vector<KubeObject>& pools);
  void OnPoolChange(KubeChange change, const KubeObject& pool);
  void TakePool(const KubeObject& pool);
  void DropPool(std::string_view why);
  void WatchPods(const std::string& selector);
  void OnPods(std::vector<KubeObject> pods);
  void OnPodChange(KubeChange change, KubeObject pod);
  // Soon, so that many changes are one; or when a grace ends.
  void PublishAfter(Nanos delay);
  void Publish();

  HttpClient* const client_;
  const KubernetesOptions options_;
  const OnWorkers on_workers_;
  KubernetesCounts counts_;
  PublishedRequestRules request_rules_;
  std::unique_ptr<KubeRules> rules_;  // what is in it is the client's thread's

  // The client's thread's.
  std::unique_ptr<KubeWatch> pool_watch_;
  std::unique_ptr<KubeWatch> pod_watch_;
  std::string selector_;                        // of pod_watch_
  std::optional<std::vector<uint32_t>> ports_;  // for when the pods have been listed
  PodSet pods_;
  std::optional<Nanos> publish_at_;
  HttpTimerId timer_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_DISCOVERY_KUBERNETES_H_
