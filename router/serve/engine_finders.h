#ifndef KVROUTE_ROUTER_SERVE_ENGINE_FINDERS_H_
#define KVROUTE_ROUTER_SERVE_ENGINE_FINDERS_H_

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "indexer/base/watchdog.h"
#include "router/config/config_watcher.h"
#include "router/config/serve_config.h"
#include "router/edge/page/discovery_report.h"
#include "router/fleet/discovery/dns.h"
#include "router/fleet/discovery/kubernetes.h"
#include "router/fleet/discovery/model_learner.h"
#include "router/fleet/discovery/worker_feed.h"
#include "router/fleet/fleet.h"
#include "router/fleet/scrape/pushed_loads.h"
#include "router/fleet/scrape/scraper.h"
#include "router/http/http_client.h"

namespace kvroute {

// Everything that looks for engines and asks them, as the configuration says: what is found goes
// through the model learner of its owner to the feed, and so into the fleet.
//
// Thread safety: one thread, but Report from any. Ownership: what it is given outlives it.
class EngineFinders {
 public:
  EngineFinders(HttpClient* client, Fleet* fleet, LoadSource* loads, Watchdog* watchdog);
  ~EngineFinders();
  EngineFinders(const EngineFinders&) = delete;
  EngineFinders& operator=(const EngineFinders&) = delete;

  // Errors name the field: a file that cannot be read, a cluster that kvroute does not run in.
  absl::Status Start(const DiscoveryConfig& discovery, const ScrapeConfig& scrape);

  DiscoveryReport Report() const;
  // What a cluster says of requests; nullptr: none is asked.
  const PublishedRequestRules* request_rules() const {
    return kubernetes_ == nullptr ? nullptr : kubernetes_->request_rules();
  }
  // What has not been looked for yet, or is not in the fleet yet, a line each.
  std::vector<std::string> Waiting() const;

 private:
  // What `owner` finds goes there.
  OnWorkers Into(WorkerSource owner);
  absl::Status StartKubernetes(const DiscoveryConfig& discovery);
  absl::Status StartFile(const DiscoveryConfig& discovery);
  void StartDns(const DiscoveryConfig& discovery);
  void TakeFile(const absl::StatusOr<std::string>& text);

  HttpClient* const client_;
  Fleet* const fleet_;
  LoadSource* const loads_;
  Watchdog* const watchdog_;
  EngineDefaults engines_;
  std::string file_;
  OnWorkers file_found_;
  std::atomic<bool> file_is_good_{false};
  std::atomic<uint64_t> file_changes_{0};
  std::atomic<uint64_t> file_errors_{0};
  std::atomic<uint64_t> file_skipped_{0};

  // What is below uses what is above.
  WorkerFeed feed_;
  std::vector<std::pair<WorkerSource, std::unique_ptr<ModelLearner>>> learners_;
  std::unique_ptr<KubernetesDiscovery> kubernetes_;
  std::unique_ptr<DnsDiscovery> dns_;
  std::unique_ptr<ConfigWatcher> file_watcher_;
  std::unique_ptr<Scraper> scraper_;
  std::unique_ptr<PushedLoads> pushed_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_SERVE_ENGINE_FINDERS_H_
