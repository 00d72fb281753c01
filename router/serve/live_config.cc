#include "router/serve/live_config.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "indexer/base/error.h"
#include "indexer/base/log.h"

namespace kvroute {
namespace {

std::vector<WorkerSpec> SpecsOf(const ServeConfig& config) {
  std::vector<WorkerSpec> specs;
  for (const WorkerConfig& worker : config.workers) specs.push_back(worker.spec);
  return specs;
}

bool DrainingIn(const ServeConfig& config, const std::string& worker_id) {
  for (const WorkerConfig& worker : config.workers) {
    if (worker.spec.worker_id == worker_id) return worker.draining;
  }
  return false;
}

// A file that no longer names workers has more often been cut off than been meant so, and would
// take all of them away: that there are to be none must be written.
absl::Status CheckWorkersNamed(const std::string& name, const ServeConfig& before,
                               const ServeConfig& after) {
  const size_t in_force = before.workers_in_file.value_or(0);
  if (in_force == 0 || after.workers_in_file.has_value()) return absl::OkStatus();
  return InvalidArgument(
      "config {}: workers: there is no such list, and that in force names {}; write "
      "\"workers: []\" for none",
      name, in_force);
}

// The same of who may what: a file without its rights would open kvroute to everybody.
absl::Status CheckRightsNamed(const std::string& name, const RightsOptions& before,
                              const RightsOptions& after) {
  const auto any = [](const RightsOptions& rights) {
    return !rights.token_file.empty() || !rights.certificates.empty() || !rights.everybody.empty();
  };
  if (!any(before) || any(after)) return absl::OkStatus();
  return InvalidArgument(
      "config {}: rights: none is given any more; that everybody may everything needs a restart",
      name);
}

}  // namespace

LiveConfig::LiveConfig(ServeConfig initial, std::string name, ConfigOverrides overrides,
                       Fleet* fleet, Router* router, Rights* rights, const Clock* clock)
    : name_(std::move(name)),
      overrides_(std::move(overrides)),
      fleet_(fleet),
      router_(router),
      rights_(rights),
      clock_(clock),
      initial_(std::move(initial)),
      config_(std::make_shared<const ServeConfig>(initial_)) {
  report_.name = name_;
  report_.in_force_since_unix_ns = clock_->Wall().count();
}

absl::Status LiveConfig::ApplyInitial() {
  static const auto* const nothing = new ServeConfig();
  return Apply(*nothing, initial_);
}

// The fleet first: it is the only part that can refuse, and it changes all or nothing.
absl::Status LiveConfig::Apply(const ServeConfig& before, const ServeConfig& after) {
  if (absl::Status status = fleet_->ApplyConfig(SpecsOf(after)); !status.ok()) return status;
  for (const WorkerConfig& worker : after.workers) {
    // What the API has set since stays, unless the file itself changed its mind.
    if (worker.draining == DrainingIn(before, worker.spec.worker_id)) continue;
    if (absl::Status status = fleet_->SetDraining(worker.spec.worker_id, worker.draining);
        !status.ok()) {
      return status;
    }
  }
  router_->SetDefaultPolicy(after.routing.policy);
  rights_->SetOptions(after.rights);
  return ConfigureLog(after.log);
}

void LiveConfig::Reload(const absl::StatusOr<std::string>& text) {
  absl::StatusOr<ServeConfig> after = text.ok()
                                          ? ParseConfig(*text, name_, overrides_)
                                          : InvalidArgument("config {}", MessageOf(text.status()));
  absl::Status status = after.status();
  if (status.ok()) status = CheckWorkersNamed(name_, *config(), *after);
  if (status.ok()) status = CheckRightsNamed(name_, config()->rights, after->rights);
  if (status.ok()) status = Apply(*config(), *after);
  if (!status.ok()) {
    LogError("{}; the configuration before it stays in force", MessageOf(status));
    MutexLock lock(&mutex_);
    ++report_.failed;
    report_.last_error = std::string(MessageOf(status));
    return;
  }
  std::vector<std::string> waiting = FieldsThatNeedRestart(initial_, *after);
  if (waiting.empty()) {
    LogInfo("config {}: applied, {} workers", name_, after->workers.size());
  } else {
    LogWarning("config {}: applied, {} workers; these fields wait for a restart: {}", name_,
               after->workers.size(), fmt::join(waiting, ", "));
  }
  auto in_force = std::make_shared<const ServeConfig>(*std::move(after));
  MutexLock lock(&mutex_);
  config_ = std::move(in_force);
  ++report_.applied;
  report_.last_error.clear();
  report_.waiting_for_restart = std::move(waiting);
  report_.in_force_since_unix_ns = clock_->Wall().count();
}

ConfigReport LiveConfig::report() const {
  MutexLock lock(&mutex_);
  return report_;
}

std::shared_ptr<const ServeConfig> LiveConfig::config() const {
  MutexLock lock(&mutex_);
  return config_;
}

}  // namespace kvroute
