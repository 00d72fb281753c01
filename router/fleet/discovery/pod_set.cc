#include "router/fleet/discovery/pod_set.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace kvroute {
namespace {

bool IsUp(const KubeObject& object) { return object.ready && !object.ip.empty(); }

}  // namespace

PodSet::PodSet(std::string kube_namespace, EngineDefaults defaults, Nanos not_ready_grace)
    : namespace_(std::move(kube_namespace)),
      defaults_(std::move(defaults)),
      not_ready_grace_(not_ready_grace) {}

void PodSet::ReplaceAll(std::vector<KubeObject> pods, Nanos now) {
  std::map<std::string, Pod> before = std::exchange(pods_, {});
  for (KubeObject& object : pods) {
    Pod& pod = pods_[object.name];
    if (const auto known = before.find(object.name); known != before.end()) {
      pod = std::move(known->second);
    }
    Take(std::move(object), &pod, now);
  }
}

void PodSet::Change(KubeChange change, KubeObject object, Nanos now) {
  if (change == KubeChange::kDeleted) {
    pods_.erase(object.name);
    return;
  }
  Pod& pod = pods_[object.name];
  Take(std::move(object), &pod, now);
}

// What it was before counts only if it is the same one still.
void PodSet::Take(KubeObject object, Pod* pod, Nanos now) const {
  const bool is_same =
      pod->object.uid == object.uid && (pod->object.ip == object.ip || object.ip.empty());
  if (!is_same) *pod = Pod();
  if (object.ip.empty()) object.ip = pod->object.ip;
  pod->object = std::move(object);
  if (IsUp(pod->object)) {
    pod->was_ready = true;
    pod->not_ready_since.reset();
  } else if (pod->was_ready && !pod->not_ready_since) {
    pod->not_ready_since = now;
  }
}

std::vector<OwnedWorker> PodSet::Workers(Nanos now) const {
  std::vector<OwnedWorker> workers;
  for (const auto& [name, pod] : pods_) {
    std::optional<OwnedWorker> worker = WorkerOfPod(pod, now);
    if (worker) workers.push_back(*std::move(worker));
  }
  std::stable_partition(workers.begin(), workers.end(),
                        [](const OwnedWorker& worker) { return !worker.not_ready; });
  return workers;
}

std::optional<Nanos> PodSet::NextEnd(Nanos now) const {
  std::optional<Nanos> next;
  for (const auto& [name, pod] : pods_) {
    if (!pod.not_ready_since) continue;
    const Nanos end = *pod.not_ready_since + not_ready_grace_;
    if (end > now && (!next || end < *next)) next = end;
  }
  return next;
}

std::optional<OwnedWorker> PodSet::WorkerOfPod(const Pod& pod, Nanos now) const {
  const KubeObject& object = pod.object;
  const bool in_grace = pod.not_ready_since && now < *pod.not_ready_since + not_ready_grace_;
  if (object.terminating || object.finished || object.ip.empty()) return std::nullopt;
  const std::optional<WorkerRole> role = RoleOfLabel(object.role);
  if (!role || (!IsUp(object) && !in_grace)) return std::nullopt;
  FoundEngine found;
  found.worker_id = namespace_ + "/" + object.name;
  found.host = object.ip;
  found.ports = PortsOf(object);
  found.engine_type = object.engine;
  found.role = *role;
  found.instance = object.uid;
  if (std::all_of(found.ports.begin(), found.ports.end(), [](uint32_t p) { return p == 0; })) {
    return std::nullopt;
  }
  return OwnedWorker{WorkerOf(found, defaults_), !IsUp(object)};
}

// The annotation picks some of the ports; what it names besides is nobody's.
std::vector<uint32_t> PodSet::PortsOf(const KubeObject& object) const {
  if (!object.active_ports) return ports_;
  std::vector<uint32_t> active;
  for (const auto& part : absl::StrSplit(*object.active_ports, ',')) {
    uint32_t port = 0;
    if (absl::SimpleAtoi(absl::StripAsciiWhitespace(part), &port)) active.push_back(port);
  }
  std::vector<uint32_t> ports = ports_;
  for (uint32_t& port : ports) {
    if (std::find(active.begin(), active.end(), port) == active.end()) port = 0;
  }
  return ports;
}

}  // namespace kvroute
