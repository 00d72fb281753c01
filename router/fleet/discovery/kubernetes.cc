#include "router/fleet/discovery/kubernetes.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "indexer/base/error.h"
#include "indexer/base/log.h"
#include "indexer/base/read_file.h"

namespace kvroute {
namespace {

constexpr std::chrono::milliseconds kGather{100};
constexpr char kAccount[] = "/var/run/secrets/kubernetes.io/serviceaccount/";
constexpr size_t kMaxPorts = 8;
constexpr size_t kMaxNamespaceFile = 4'096;

// "k=v,k2=v2" as it stands in a query.
std::string SelectorQuery(const std::string& selector) {
  std::string query = "labelSelector=";
  for (const char c : selector) {
    const bool plain = absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' ||
                       c == '_' || c == '~';
    query += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return query;
}

std::string SelectorOf(const KubeObject& pool) {
  std::string selector;
  for (const auto& [key, value] : pool.selector) {
    selector += fmt::format("{}{}={}", selector.empty() ? "" : ",", key, value);
  }
  return selector;
}

KubeWatchOptions WatchOf(const KubernetesOptions& options) {
  KubeWatchOptions watch;
  watch.server = options.server;
  watch.retry_min = options.retry_min;
  watch.retry_max = options.retry_max;
  return watch;
}

}  // namespace

absl::Status FillFromCluster(KubernetesOptions* options) {
  if (options->server.url.empty()) {
    const char* const host = std::getenv("KUBERNETES_SERVICE_HOST");
    const char* const port = std::getenv("KUBERNETES_SERVICE_PORT");
    if (host == nullptr || port == nullptr) {
      return absl::FailedPreconditionError(
          "api_server: empty, and kvroute does not run in a pod (KUBERNETES_SERVICE_HOST)");
    }
    options->server.url = fmt::format("https://{}:{}",
                                      std::string_view(host).find(':') == std::string_view::npos
                                          ? std::string(host)
                                          : fmt::format("[{}]", host),
                                      port);
    const std::string account = kAccount;
    if (options->server.token_file.empty()) options->server.token_file = account + "token";
    if (options->server.tls.ca_file.empty()) options->server.tls.ca_file = account + "ca.crt";
  }
  if (!options->kube_namespace.empty()) return absl::OkStatus();
  absl::StatusOr<std::string> text =
      ReadFile(std::string(kAccount) + "namespace", kMaxNamespaceFile);
  if (!text.ok()) {
    return Error(absl::StatusCode::kFailedPrecondition, "namespace: empty, and {}",
                 MessageOf(text.status()));
  }
  absl::StripAsciiWhitespace(&*text);
  options->kube_namespace = *std::move(text);
  return absl::OkStatus();
}

KubernetesDiscovery::KubernetesDiscovery(HttpClient* client, const KubernetesOptions& options,
                                         OnWorkers on_workers)
    : client_(client),
      options_(options),
      on_workers_(std::move(on_workers)),
      pods_(options.kube_namespace, options.engines, options.not_ready_grace) {
  if (options_.request_rules) {
    rules_ = std::make_unique<KubeRules>(client_, WatchOf(options_), options_.kube_namespace,
                                         options_.pool, &request_rules_);
  }
  client_->Run([this] { Start(); });
}

KubernetesDiscovery::~KubernetesDiscovery() {
  client_->RunAndWait([this] {
    pod_watch_.reset();
    pool_watch_.reset();
    rules_.reset();
    client_->CancelTimer(timer_);
  });
}

void KubernetesDiscovery::Start() {
  if (rules_ != nullptr) rules_->Start();
  if (options_.pool.empty()) {
    pods_.SetPorts(options_.ports);
    return WatchPods(options_.selector);
  }
  KubeWatchOptions watch = WatchOf(options_);
  for (const char* group :
       {"inference.networking.k8s.io/v1", "inference.networking.x-k8s.io/v1alpha2"}) {
    watch.paths.push_back(
        fmt::format("/apis/{}/namespaces/{}/inferencepools", group, options_.kube_namespace));
  }
  watch.query = "fieldSelector=metadata.name%3D" + options_.pool;
  pool_watch_ = std::make_unique<KubeWatch>(
      client_, std::move(watch), &counts_.pool,
      [this](const std::vector<KubeObject>& pools) { OnPools(pools); },
      [this](KubeChange change, const KubeObject& pool) { OnPoolChange(change, pool); });
  pool_watch_->Start();
}

void KubernetesDiscovery::OnPools(const std::vector<KubeObject>& pools) {
  for (const KubeObject& pool : pools) {
    if (pool.name == options_.pool) return TakePool(pool);
  }
  DropPool("there is none of that name");
}

void KubernetesDiscovery::OnPoolChange(KubeChange change, const KubeObject& pool) {
  if (pool.name != options_.pool) return;
  if (change == KubeChange::kDeleted) return DropPool("it was deleted");
  TakePool(pool);
}

void KubernetesDiscovery::TakePool(const KubeObject& pool) {
  const bool ports_are_good =
      !pool.ports.empty() && pool.ports.size() <= kMaxPorts &&
      std::find(pool.ports.begin(), pool.ports.end(), 0u) == pool.ports.end();
  if (pool.terminating) return DropPool("it is being deleted");
  if (pool.selector.empty() || !ports_are_good) {
    return DropPool("it has no selector, or no ports from 1 to 65535");
  }
  counts_.has_pool = true;
  const std::string selector = SelectorOf(pool);
  if (pod_watch_ == nullptr || selector != selector_) {
    // Until the new ones are listed, those of before stay, as they were.
    ports_ = pool.ports;
    return WatchPods(selector);
  }
  if (ports_) {
    ports_ = pool.ports;
    return;
  }
  pods_.SetPorts(pool.ports);
  PublishAfter(kGather);
}

void KubernetesDiscovery::DropPool(std::string_view why) {
  LogWarning("kubernetes: InferencePool {}/{}: {}; it has no endpoints", options_.kube_namespace,
             options_.pool, why);
  counts_.has_pool = false;
  pod_watch_.reset();
  ports_.reset();
  pods_.Clear();
  PublishAfter(Nanos(0));
}

void KubernetesDiscovery::WatchPods(const std::string& selector) {
  KubeWatchOptions watch = WatchOf(options_);
  watch.paths = {fmt::format("/api/v1/namespaces/{}/pods", options_.kube_namespace)};
  if (!selector.empty()) watch.query = SelectorQuery(selector);
  selector_ = selector;
  pod_watch_ = std::make_unique<KubeWatch>(
      client_, std::move(watch), &counts_.pods,
      [this](std::vector<KubeObject> pods) { OnPods(std::move(pods)); },
      [this](KubeChange change, KubeObject pod) { OnPodChange(change, std::move(pod)); });
  pod_watch_->Start();
}

void KubernetesDiscovery::OnPods(std::vector<KubeObject> pods) {
  if (ports_) pods_.SetPorts(*std::exchange(ports_, std::nullopt));
  pods_.ReplaceAll(std::move(pods), Clock::Real().Monotonic());
  PublishAfter(Nanos(0));
}

void KubernetesDiscovery::OnPodChange(KubeChange change, KubeObject pod) {
  pods_.Change(change, std::move(pod), Clock::Real().Monotonic());
  PublishAfter(kGather);
}

void KubernetesDiscovery::PublishAfter(Nanos delay) {
  const Nanos at = Clock::Real().Monotonic() + delay;
  if (publish_at_ && *publish_at_ <= at) return;
  client_->CancelTimer(timer_);
  publish_at_ = at;
  timer_ = client_->RunAfter(delay, [this] { Publish(); });
}

void KubernetesDiscovery::Publish() {
  publish_at_.reset();
  const Nanos now = Clock::Real().Monotonic();
  std::vector<OwnedWorker> workers = pods_.Workers(now);
  counts_.known_pods = workers.size();
  on_workers_(std::move(workers));
  if (const std::optional<Nanos> next = pods_.NextEnd(now)) PublishAfter(*next - now);
}

}  // namespace kvroute
