#include "router/config/endpoint_file.h"

#include <arpa/inet.h>

#include <array>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "router/config/config_tree.h"

namespace kvroute {
namespace {

// Of a member that must be text; empty: there is none.
std::string TextOf(const ConfigNode& entry, std::string_view key) {
  const ConfigNode* const node = entry.Find(key);
  return node != nullptr && node->kind == ConfigNode::Kind::kScalar ? node->scalar : "";
}

bool IsAddress(const std::string& text) {
  std::array<char, sizeof(in6_addr)> bytes;
  return inet_pton(AF_INET, text.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1;
}

// What labels of kvroute's own say: the model, the ports of events and replays, and how many ranks
// are behind the one port.
absl::Status ReadOwnLabels(const ConfigNode& labels, FoundEngine* found) {
  const auto number = [&](std::string_view key, uint32_t most, uint32_t* to) -> absl::Status {
    const std::string text = TextOf(labels, key);
    if (text.empty() || (absl::SimpleAtoi(text, to) && *to >= 1 && *to <= most)) {
      return absl::OkStatus();
    }
    return InvalidArgument("labels.{}: \"{}\" is no number from 1 to {}", key, text, most);
  };
  uint32_t ranks = 1;
  KVROUTE_RETURN_IF_ERROR(number("kvroute.io/event-port", 65'535, &found->event_port));
  KVROUTE_RETURN_IF_ERROR(number("kvroute.io/replay-port", 65'535, &found->replay_port));
  KVROUTE_RETURN_IF_ERROR(
      number("kvroute.io/data-parallel-size", limits::kMaxDataParallelSize, &ranks));
  found->ports.assign(ranks, found->ports.front());
  found->model = TextOf(labels, "kvroute.io/model");
  return absl::OkStatus();
}

// An engine that takes no whole requests is no worker, and no mistake: nullopt.
absl::StatusOr<std::optional<FoundEngine>> EngineOf(const ConfigNode& entry) {
  if (entry.kind != ConfigNode::Kind::kMap) {
    return InvalidArgument("{} instead of a map", ConfigKindName(entry.kind));
  }
  const std::string name = TextOf(entry, "name");
  const std::string given = TextOf(entry, "namespace");
  FoundEngine found;
  found.worker_id = (given.empty() ? "default" : given) + "/" + name;
  found.host = TextOf(entry, "address");
  uint32_t port = 0;
  if (name.empty()) return InvalidArgument("name: is missing");
  if (!IsAddress(found.host)) {
    return InvalidArgument("address: \"{}\" is no IP address", found.host);
  }
  if (!absl::SimpleAtoi(TextOf(entry, "port"), &port) || port == 0 || port > 65'535) {
    return InvalidArgument("port: \"{}\" is none", TextOf(entry, "port"));
  }
  found.ports = {port};
  const ConfigNode* const labels = entry.Find("labels");
  if (labels != nullptr) {
    const std::optional<WorkerRole> role = RoleOfLabel(TextOf(*labels, "llm-d.ai/role"));
    if (!role) return std::nullopt;
    found.role = *role;
    found.engine_type = TextOf(*labels, "llm-d.ai/engine-type");
    KVROUTE_RETURN_IF_ERROR(ReadOwnLabels(*labels, &found));
  }
  return found;
}

}  // namespace

absl::StatusOr<EndpointFile> ReadEndpointFile(const std::string& text, const std::string& name,
                                              const EngineDefaults& defaults) {
  if (text.size() > limits::kMaxEndpointFileBytes) {
    return InvalidArgument("{}: longer than the limit of {} bytes", name,
                           limits::kMaxEndpointFileBytes);
  }
  absl::StatusOr<ConfigNode> root = ParseYaml(text, name);
  if (!root.ok()) return root.status();
  const ConfigNode* const endpoints = root->Find("endpoints");
  if (endpoints == nullptr || endpoints->kind == ConfigNode::Kind::kScalar ||
      endpoints->kind == ConfigNode::Kind::kMap) {
    return InvalidArgument("{}: endpoints: there is no such list", name);
  }
  EndpointFile file;
  std::set<std::string> named;
  for (const ConfigNode& entry : endpoints->items) {
    absl::StatusOr<std::optional<FoundEngine>> found = EngineOf(entry);
    absl::Status status = found.status();
    if (status.ok() && !*found) continue;
    if (status.ok() && !named.insert((*found)->worker_id).second) {
      status = InvalidArgument("name: \"{}\" is there twice", (*found)->worker_id);
    }
    if (status.ok()) {
      file.workers.push_back({WorkerOf(**found, defaults), false});
    } else {
      file.skipped.push_back(fmt::format("{}: {}", entry.place, MessageOf(status)));
    }
  }
  return file;
}

}  // namespace kvroute
