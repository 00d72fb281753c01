#ifndef KVROUTE_ROUTER_FLEET_DISCOVERY_KUBE_OBJECTS_H_
#define KVROUTE_ROUTER_FLEET_DISCOVERY_KUBE_OBJECTS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "router/fleet/request_rules.h"

namespace kvroute {

// What is read of an InferenceObjective or an InferenceModelRewrite.
struct KubeRule {
  std::string pool;     // spec.poolRef.name
  std::string created;  // metadata.creationTimestamp, which sorts as it stands
  int32_t priority = 0;
  std::vector<ModelRewrite> rewrites;  // one for each name of each rule, in order
  std::string wrong;                   // what of it cannot be used; empty: nothing
};

// What is read of an object; all else of it, which may be 50 KB, is passed over.
struct KubeObject {
  std::string name;
  std::string uid;
  bool terminating = false;  // metadata.deletionTimestamp

  // Of a pod.
  std::string ip;         // status.podIP; empty: none yet
  bool ready = false;     // condition Ready is True
  bool finished = false;  // phase Succeeded or Failed: its address may be another's already
  std::string engine;     // label llm-d.ai/engine-type, or its older name
  std::string role;       // label llm-d.ai/role
  std::optional<std::string> active_ports;  // annotation llm-d.ai/active-ports, or its older name

  // Of an InferencePool.
  std::vector<std::pair<std::string, std::string>> selector;  // spec.selector.matchLabels
  std::vector<uint32_t> ports;                                // spec.targetPorts

  // nullptr: it belongs to no pool, as pods and pools do not.
  std::shared_ptr<const KubeRule> rule;
};

// One page of a list.
struct KubePage {
  std::vector<KubeObject> items;
  std::string resource_version;
  std::string continue_token;  // empty: the last page
};

enum class KubeChange : uint8_t { kAdded, kModified, kDeleted, kBookmark, kError };

// One line of a watch.
struct KubeEvent {
  KubeChange change = KubeChange::kError;
  KubeObject object;             // of kAdded, kModified, kDeleted
  std::string resource_version;  // empty: it says none
  int code = 0;                  // of kError: of the Status object
  std::string message;           // of kError
};

// Reads what the API server of Kubernetes sends.
//
// Thread safety: one thread. Errors: INVALID_ARGUMENT says what is wrong with the text.
class KubeReader {
 public:
  KubeReader();
  ~KubeReader();

  absl::StatusOr<KubePage> ReadPage(std::string_view text);
  absl::StatusOr<KubeEvent> ReadLine(std::string_view text);

 private:
  struct Parser;
  const std::unique_ptr<Parser> parser_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_DISCOVERY_KUBE_OBJECTS_H_
