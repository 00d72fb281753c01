#ifndef KVROUTE_ROUTER_SERVE_LIVE_CONFIG_H_
#define KVROUTE_ROUTER_SERVE_LIVE_CONFIG_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "indexer/base/clock.h"
#include "indexer/base/mutex.h"
#include "router/config/parse_config.h"
#include "router/config/serve_config.h"
#include "router/edge/page/config_report.h"
#include "router/fleet/fleet.h"
#include "router/route/router.h"

namespace kvroute {

// The configuration in force: applies what can change while kvroute serves, and keeps the old one
// when a new text cannot be used.
//
// Thread safety: any thread; texts are applied one at a time by one thread. Ownership: what is
// passed in must outlive it.
class LiveConfig {
 public:
  // `name` of the file, empty: none.
  LiveConfig(ServeConfig initial, std::string name, ConfigOverrides overrides, Fleet* fleet,
             Router* router, Rights* rights, const Clock* clock);

  // Makes the initial workers known. Errors are the fleet's: a worker that cannot be subscribed to.
  absl::Status ApplyInitial();
  // A new text of the file, or why it cannot be read. Failures are logged and reported, nothing
  // else.
  void Reload(const absl::StatusOr<std::string>& text);

  ConfigReport report() const;
  // In force, fields that wait for a restart as they were written. Costs nothing, however many
  // workers it names: probes ask for it.
  std::shared_ptr<const ServeConfig> config() const;

 private:
  absl::Status Apply(const ServeConfig& before, const ServeConfig& after);

  const std::string name_;
  const ConfigOverrides overrides_;
  Fleet* const fleet_;
  Router* const router_;
  Rights* const rights_;
  const Clock* const clock_;
  const ServeConfig initial_;  // what the parts that need a restart run with

  mutable Mutex mutex_;
  std::shared_ptr<const ServeConfig> config_ ABSL_GUARDED_BY(mutex_);
  ConfigReport report_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_SERVE_LIVE_CONFIG_H_
