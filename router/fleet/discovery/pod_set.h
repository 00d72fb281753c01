#ifndef KVROUTE_ROUTER_FLEET_DISCOVERY_POD_SET_H_
#define KVROUTE_ROUTER_FLEET_DISCOVERY_POD_SET_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "indexer/base/clock.h"
#include "router/fleet/discovery/found_engine.h"
#include "router/fleet/discovery/kube_objects.h"

namespace kvroute {

// The pods there are, and which workers they are. One that is ready is a worker; one that no longer
// is keeps its index for a while, and gets no requests; one that goes, or is another one of the
// same name, loses it.
//
// Thread safety: one thread at a time.
class PodSet {
 public:
  PodSet(std::string kube_namespace, EngineDefaults defaults, Nanos not_ready_grace);

  // HTTP ports of every pod, by rank.
  void SetPorts(std::vector<uint32_t> ports) { ports_ = std::move(ports); }
  void ReplaceAll(std::vector<KubeObject> pods, Nanos now);
  void Change(KubeChange change, KubeObject pod, Nanos now);
  void Clear() { pods_.clear(); }

  // Those that are ready first.
  std::vector<OwnedWorker> Workers(Nanos now) const;
  // When the next of them is one no longer, if nothing else happens.
  std::optional<Nanos> NextEnd(Nanos now) const;

 private:
  struct Pod {
    KubeObject object;
    std::optional<Nanos> not_ready_since;  // of one that was ready
    bool was_ready = false;
  };

  void Take(KubeObject object, Pod* pod, Nanos now) const;
  std::optional<OwnedWorker> WorkerOfPod(const Pod& pod, Nanos now) const;
  std::vector<uint32_t> PortsOf(const KubeObject& object) const;

  const std::string namespace_;
  const EngineDefaults defaults_;
  const Nanos not_ready_grace_;
  std::vector<uint32_t> ports_;
  std::map<std::string, Pod> pods_;  // by name
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_DISCOVERY_POD_SET_H_
