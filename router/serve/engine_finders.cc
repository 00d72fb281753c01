#include "router/serve/engine_finders.h"

#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "indexer/base/log.h"
#include "indexer/base/read_file.h"
#include "router/config/endpoint_file.h"

namespace kvroute {
namespace {

constexpr std::chrono::milliseconds kFileLooks{500};
constexpr size_t kSkippedShown = 5;

template <typename Names, typename Counters>
DiscoveryReport::Counts Counted(const Names& names, const Counters& counters) {
  DiscoveryReport::Counts counts;
  for (size_t i = 0; i < counters.size(); ++i) {
    counts.emplace_back(names[static_cast<typename Names::Enum>(i)],
                        static_cast<uint64_t>(counters[i]));
  }
  return counts;
}

DiscoveryReport::Finder FinderOf(std::string name, const KubeWatchCounts& counts) {
  const KubeWatchState state = counts.state.load();
  return {.name = std::move(name),
          .up = counts.listed && state == KubeWatchState::kWatching,
          .seen = counts.listed,
          .state = std::string(kKubeWatchStateNames[state]),
          .events = counts.events,
          .troubles = Counted(kKubeTroubleNames, counts.troubles)};
}

// A kind that the cluster does not know in one group may be there in another.
DiscoveryReport::Finder RuleFinderOf(KubeRuleKind kind, const KubeRuleCounts& counts) {
  DiscoveryReport::Finder all;
  all.name = std::string(kKubeRuleKindNames[kind]);
  all.optional = true;
  std::array<uint64_t, kKubeTroubleCount> troubles{};
  KubeWatchState state = KubeWatchState::kAbsent;
  for (const KubeWatchCounts& watch : counts.watches) {
    const KubeWatchState its = watch.state.load();
    if (state == KubeWatchState::kAbsent || its == KubeWatchState::kWaiting) state = its;
    all.seen = all.seen || watch.listed;
    all.events += watch.events;
    for (size_t i = 0; i < troubles.size(); ++i) troubles[i] += watch.troubles[i];
  }
  all.up = state == KubeWatchState::kWatching || state == KubeWatchState::kAbsent;
  all.state = std::string(kKubeWatchStateNames[state]);
  all.troubles = Counted(kKubeTroubleNames, troubles);
  all.troubles.emplace_back("left_out", counts.left_out);
  return all;
}

}  // namespace

EngineFinders::EngineFinders(HttpClient* client, Fleet* fleet, LoadSource* loads,
                             Watchdog* watchdog)
    : client_(client), fleet_(fleet), loads_(loads), watchdog_(watchdog), feed_(fleet) {
  watchdog_->Watch("fleet-feed", &feed_.pulse());
}

EngineFinders::~EngineFinders() { watchdog_->Forget(&feed_.pulse()); }

absl::Status EngineFinders::Start(const DiscoveryConfig& discovery, const ScrapeConfig& scrape) {
  engines_ = discovery.engines;
  if (discovery.UsesKubernetes()) {
    if (absl::Status status = StartKubernetes(discovery); !status.ok()) {
      return Error(status.code(), "discovery.kubernetes.{}", MessageOf(status));
    }
  }
  if (!discovery.file.empty()) {
    if (absl::Status status = StartFile(discovery); !status.ok()) {
      return Error(status.code(), "discovery.file: {}", MessageOf(status));
    }
  }
  if (!discovery.dns.empty()) StartDns(discovery);
  if (scrape.enabled) scraper_ = std::make_unique<Scraper>(client_, fleet_, scrape.options);
  if (scrape.pushed.port_offset != 0) {
    pushed_ = std::make_unique<PushedLoads>(client_, loads_, fleet_, scrape.pushed);
  }
  return absl::OkStatus();
}

OnWorkers EngineFinders::Into(WorkerSource owner) {
  learners_.emplace_back(
      owner, std::make_unique<ModelLearner>(client_, ModelLearnerOptions(),
                                            [this, owner](std::vector<OwnedWorker> workers) {
                                              feed_.Set(owner, std::move(workers));
                                            }));
  return [this, learner = learners_.back().second.get()](std::vector<OwnedWorker> workers) {
    client_->Run([learner, workers = std::move(workers)] { learner->Set(workers); });
  };
}

absl::Status EngineFinders::StartKubernetes(const DiscoveryConfig& discovery) {
  KubernetesOptions options = discovery.kubernetes;
  options.engines = discovery.engines;
  options.not_ready_grace = discovery.not_ready_grace;
  absl::StatusOr<std::vector<uint32_t>> ports = ParsePorts(discovery.ports);
  if (!ports.ok()) return ports.status();
  options.ports = *std::move(ports);
  KVROUTE_RETURN_IF_ERROR(FillFromCluster(&options));
  kubernetes_ =
      std::make_unique<KubernetesDiscovery>(client_, options, Into(WorkerSource::kKubernetes));
  return absl::OkStatus();
}

// At the start a file that cannot be read is an error; later it changes nothing.
absl::Status EngineFinders::StartFile(const DiscoveryConfig& discovery) {
  file_ = discovery.file;
  absl::StatusOr<std::string> text = ReadFile(file_, limits::kMaxEndpointFileBytes);
  if (!text.ok()) return text.status();
  absl::StatusOr<EndpointFile> read = ReadEndpointFile(*text, file_, engines_);
  if (!read.ok()) return read.status();
  file_found_ = Into(WorkerSource::kFile);
  TakeFile(*text);
  file_watcher_ = std::make_unique<ConfigWatcher>(
      file_, *text, kFileLooks, [this](const absl::StatusOr<std::string>& now) { TakeFile(now); });
  return absl::OkStatus();
}

void EngineFinders::TakeFile(const absl::StatusOr<std::string>& text) {
  absl::StatusOr<EndpointFile> read =
      text.ok() ? ReadEndpointFile(*text, file_, engines_) : text.status();
  file_is_good_ = read.ok();
  if (!read.ok()) {
    ++file_errors_;
    LogError("discovery.file: {}; what is known stays", MessageOf(read.status()));
    return;
  }
  file_skipped_ += read->skipped.size();
  for (size_t i = 0; i < read->skipped.size() && i < kSkippedShown; ++i) {
    LogWarning("discovery.file: {}; this entry is skipped ({} entries are)", read->skipped[i],
               read->skipped.size());
  }
  ++file_changes_;
  LogInfo("discovery.file: {}: {} workers", file_, read->workers.size());
  file_found_(std::move(read->workers));
}

void EngineFinders::StartDns(const DiscoveryConfig& discovery) {
  DnsOptions options;
  for (const DnsName& name : discovery.dns) options.names.push_back(name.name);
  options.interval = discovery.dns_interval;
  options.not_ready_grace = discovery.not_ready_grace;
  options.engines = discovery.engines;
  dns_ = std::make_unique<DnsDiscovery>(std::move(options), Into(WorkerSource::kDns));
}

// In the order in which what is found comes through: what has left one stage is in the next.
std::vector<std::string> EngineFinders::Waiting() const {
  std::vector<std::string> waiting;
  for (const DiscoveryReport::Finder& finder : Report().finders) {
    if (!finder.seen && !finder.optional)
      waiting.push_back(fmt::format("{}: {}", finder.name, finder.state));
  }
  for (const auto& [owner, learner] : learners_) {
    const std::string_view name = WorkerSourceName(owner);
    if (!learner->settled()) {
      waiting.push_back(fmt::format("{}: engines are asked for their model", name));
    } else if (feed_.Stats(owner).pending) {
      waiting.push_back(fmt::format("{}: workers are being added", name));
    }
  }
  return waiting;
}

DiscoveryReport EngineFinders::Report() const {
  DiscoveryReport report;
  if (kubernetes_ != nullptr) {
    const KubernetesCounts& counts = kubernetes_->counts();
    if (kubernetes_->uses_pool()) report.finders.push_back(FinderOf("pool", counts.pool));
    report.finders.push_back(FinderOf("pods", counts.pods));
    if (kubernetes_->request_rules() != nullptr) {
      for (const KubeRuleKind kind : {KubeRuleKind::kObjectives, KubeRuleKind::kRewrites}) {
        report.finders.push_back(RuleFinderOf(kind, kubernetes_->counts(kind)));
      }
    }
  }
  if (file_watcher_ != nullptr) {
    report.finders.push_back(
        {.name = "file",
         .up = file_is_good_,
         .seen = true,  // at the start, or kvroute would not have started
         .state = file_is_good_ ? "read" : "unreadable",
         .events = file_changes_,
         .troubles = {{"unreadable", file_errors_}, {"entry", file_skipped_}}});
  }
  if (dns_ != nullptr) {
    const DnsCounts& counts = dns_->counts();
    report.finders.push_back({.name = "dns",
                              .up = counts.up,
                              .seen = counts.changes != 0,
                              .state = counts.up ? "answered" : "unanswered",
                              .events = counts.changes,
                              .troubles = {{"unanswered", counts.failures}}});
  }
  for (const auto& [owner, learner] : learners_) {
    const WorkerFeedStats stats = feed_.Stats(owner);
    report.owners.push_back({.source = std::string(WorkerSourceName(owner)),
                             .refused = stats.refused,
                             .last_refusal = stats.last_reason,
                             .unknown_models = learner->unknown(),
                             .event_sources = learner->with_sources(),
                             .refused_event_sources = learner->refused_sources()});
  }
  if (scraper_ != nullptr) {
    const ScrapeCounts& counts = scraper_->counts();
    report.scrapes = true;
    report.engines_asked = counts.engines;
    report.engines_not_answering = counts.not_answering;
    report.scrape_results = Counted(kScrapeResultNames, counts.scrapes);
  }
  if (pushed_ != nullptr) {
    report.pushes = true;
    report.engines_pushing = pushed_->counts().pushing;
    report.push_refused = pushed_->counts().refused;
    report.load_messages = Counted(kLoadMessageNames, loads_->load_counts().messages);
  }
  const HttpClientStats stats = client_->Stats();
  report.transfers_open = stats.open;
  report.received_bytes = stats.received_bytes;
  report.transfers = Counted(kHttpEndNames, stats.ended);
  return report;
}

}  // namespace kvroute
