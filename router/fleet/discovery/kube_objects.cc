#include "router/fleet/discovery/kube_objects.h"

#include <simdjson.h>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"

namespace kvroute {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

// The text of a member; empty: there is none, or it is no text.
std::string TextAt(object of, std::string_view key) {
  std::string_view text;
  return of[key].get(text) == simdjson::SUCCESS ? std::string(text) : std::string();
}

// nullopt: there is no such member.
std::optional<object> ObjectAt(object of, std::string_view key) {
  object found;
  if (of[key].get(found) != simdjson::SUCCESS) return std::nullopt;
  return found;
}

std::optional<array> ArrayAt(object of, std::string_view key) {
  array found;
  if (of[key].get(found) != simdjson::SUCCESS) return std::nullopt;
  return found;
}

// Of a label or an annotation: its name of today, or the older one.
std::optional<std::string> Either(object of, std::string_view key, std::string_view older) {
  std::string_view text;
  if (of[key].get(text) == simdjson::SUCCESS) return std::string(text);
  if (of[older].get(text) == simdjson::SUCCESS) return std::string(text);
  return std::nullopt;
}

void ReadMetadata(object metadata, KubeObject* to) {
  to->name = TextAt(metadata, "name");
  to->uid = TextAt(metadata, "uid");
  to->terminating = !TextAt(metadata, "deletionTimestamp").empty();
  if (const auto labels = ObjectAt(metadata, "labels")) {
    to->engine = Either(*labels, "llm-d.ai/engine-type", "inference.networking.k8s.io/engine-type")
                     .value_or("");
    to->role = TextAt(*labels, "llm-d.ai/role");
  }
  if (const auto annotations = ObjectAt(metadata, "annotations")) {
    to->active_ports =
        Either(*annotations, "llm-d.ai/active-ports", "inference.networking.k8s.io/active-ports");
  }
}

void ReadPodStatus(object status, KubeObject* to) {
  to->ip = TextAt(status, "podIP");
  if (const auto ips = ArrayAt(status, "podIPs"); ips && to->ip.empty()) {
    for (const element each : *ips) {
      object ip;
      if (to->ip.empty() && each.get(ip) == simdjson::SUCCESS) to->ip = TextAt(ip, "ip");
    }
  }
  const std::string phase = TextAt(status, "phase");
  to->finished = phase == "Succeeded" || phase == "Failed";
  const auto conditions = ArrayAt(status, "conditions");
  if (!conditions) return;
  for (const element each : *conditions) {
    object condition;
    if (each.get(condition) != simdjson::SUCCESS) continue;
    if (TextAt(condition, "type") == "Ready") to->ready = TextAt(condition, "status") == "True";
  }
}

// v1 has spec.selector.matchLabels and spec.targetPorts; v1alpha2 spec.selector itself and
// spec.targetPortNumber.
void ReadPoolSpec(object spec, KubeObject* to) {
  if (const auto selector = ObjectAt(spec, "selector")) {
    for (const auto& [key, value] : ObjectAt(*selector, "matchLabels").value_or(*selector)) {
      std::string_view text;
      if (value.get(text) == simdjson::SUCCESS) to->selector.emplace_back(key, text);
    }
  }
  uint64_t number = 0;
  if (spec["targetPortNumber"].get(number) == simdjson::SUCCESS && number <= 65'535) {
    to->ports.push_back(static_cast<uint32_t>(number));
  }
  const auto ports = ArrayAt(spec, "targetPorts");
  if (!ports) return;
  for (const element each : *ports) {
    object port;
    const bool good = each.get(port) == simdjson::SUCCESS &&
                      port["number"].get(number) == simdjson::SUCCESS && number <= 65'535;
    to->ports.push_back(good ? static_cast<uint32_t>(number) : 0);
  }
}

KubeObject ReadObject(object from) {
  KubeObject to;
  if (const auto metadata = ObjectAt(from, "metadata")) ReadMetadata(*metadata, &to);
  if (const auto status = ObjectAt(from, "status")) ReadPodStatus(*status, &to);
  if (const auto spec = ObjectAt(from, "spec")) ReadPoolSpec(*spec, &to);
  return to;
}

std::optional<KubeChange> ChangeOf(std::string_view type) {
  if (type == "ADDED") return KubeChange::kAdded;
  if (type == "MODIFIED") return KubeChange::kModified;
  if (type == "DELETED") return KubeChange::kDeleted;
  if (type == "BOOKMARK") return KubeChange::kBookmark;
  if (type == "ERROR") return KubeChange::kError;
  return std::nullopt;
}

}  // namespace

struct KubeReader::Parser {
  simdjson::dom::parser json{limits::kMaxKubePageBytes};
};

KubeReader::KubeReader() : parser_(std::make_unique<Parser>()) {}
KubeReader::~KubeReader() = default;

absl::StatusOr<KubePage> KubeReader::ReadPage(std::string_view text) {
  object page;
  const auto error = parser_->json.parse(text.data(), text.size()).get(page);
  if (error != simdjson::SUCCESS) {
    return InvalidArgument("list: {}", simdjson::error_message(error));
  }
  const auto items = ArrayAt(page, "items");
  const auto metadata = ObjectAt(page, "metadata");
  if (!metadata || (!items && !page["items"].is_null())) {
    return InvalidArgument("list: no items or no metadata");
  }
  KubePage read;
  read.resource_version = TextAt(*metadata, "resourceVersion");
  read.continue_token = TextAt(*metadata, "continue");
  if (!items) return read;  // "items": null, as Go writes an empty list
  for (const element each : *items) {
    object item;
    if (each.get(item) == simdjson::SUCCESS) read.items.push_back(ReadObject(item));
  }
  return read;
}

absl::StatusOr<KubeEvent> KubeReader::ReadLine(std::string_view text) {
  object line;
  const auto error = parser_->json.parse(text.data(), text.size()).get(line);
  if (error != simdjson::SUCCESS) {
    return InvalidArgument("watch: {}", simdjson::error_message(error));
  }
  const std::optional<KubeChange> change = ChangeOf(TextAt(line, "type"));
  const auto from = ObjectAt(line, "object");
  if (!change || !from) return InvalidArgument("watch: a line of no known type, or of no object");
  KubeEvent event;
  event.change = *change;
  if (const auto metadata = ObjectAt(*from, "metadata")) {
    event.resource_version = TextAt(*metadata, "resourceVersion");
  }
  if (event.change == KubeChange::kError) {
    int64_t code = 0;
    if ((*from)["code"].get(code) == simdjson::SUCCESS) event.code = static_cast<int>(code);
    event.message = TextAt(*from, "message");
  } else if (event.change != KubeChange::kBookmark) {
    event.object = ReadObject(*from);
    if (event.object.name.empty()) return InvalidArgument("watch: an object without a name");
  }
  return event;
}

}  // namespace kvroute
