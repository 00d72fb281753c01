#include "router/fleet/discovery/kube_objects.h"

#include <simdjson.h>

#include <limits>
#include <utility>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "indexer/base/text.h"

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

bool IsModelName(std::string_view name) {
  return !name.empty() && name.size() <= limits::kMaxModelBytes && IsOneLine(name);
}

// Of a rule of an InferenceModelRewrite. Errors say what of it cannot be used.
absl::StatusOr<std::vector<RewriteTarget>> ReadTargets(object rule) {
  std::vector<RewriteTarget> targets;
  uint64_t all = 0;
  const auto listed = ArrayAt(rule, "targets");
  if (!listed) return targets;  // what it is for stays what it is
  for (const element each : *listed) {
    object target;
    if (each.get(target) != simdjson::SUCCESS) return InvalidArgument("targets: one is no object");
    RewriteTarget read{.model = TextAt(target, "modelRewrite"), .weight = 0};
    if (!IsModelName(read.model)) {
      return InvalidArgument("modelRewrite: \"{}\" is no name of a model", read.model);
    }
    int64_t weight = 0;
    if (target["weight"].get(weight) == simdjson::SUCCESS && (weight < 0 || weight > 1'000'000)) {
      return InvalidArgument("weight: {} is not from 0 to 1,000,000", weight);
    }
    read.weight = static_cast<uint32_t>(weight);
    all += read.weight;
    targets.push_back(std::move(read));
  }
  // Written by Go, weights that nobody gave are 0.
  for (RewriteTarget& target : targets) target.weight = all == 0 ? 1 : target.weight;
  return targets;
}

// nullopt: the rule is for all models.
absl::StatusOr<std::optional<std::vector<std::string>>> ReadMatches(object rule) {
  const auto matches = ArrayAt(rule, "matches");
  if (!matches || matches->size() == 0) return std::nullopt;
  std::vector<std::string> names;
  for (const element each : *matches) {
    object match;
    const auto model =
        each.get(match) == simdjson::SUCCESS ? ObjectAt(match, "model") : std::nullopt;
    if (!model) return InvalidArgument("matches: one names no model");
    const std::string type = TextAt(*model, "type");
    if (!type.empty() && type != "Exact") {
      return InvalidArgument("matches: type \"{}\" is not known", type);
    }
    names.push_back(TextAt(*model, "value"));
    if (!IsModelName(names.back())) {
      return InvalidArgument("matches: \"{}\" is no name of a model", names.back());
    }
  }
  return names;
}

absl::Status ReadRewrites(array rules, std::vector<ModelRewrite>* rewrites) {
  absl::Status wrong;
  size_t kept = 0;
  for (const element each : rules) {
    object rule;
    if (each.get(rule) != simdjson::SUCCESS) continue;
    auto targets = ReadTargets(rule);
    auto matches = ReadMatches(rule);
    if (!targets.ok() || !matches.ok()) {
      wrong.Update(targets.ok() ? matches.status() : targets.status());
      continue;
    }
    const size_t names = *matches ? (*matches)->size() : 1;
    kept += names * (1 + targets->size());
    if (kept > limits::kMaxRewriteTargets) {
      wrong.Update(InvalidArgument("rules: more than {} targets", limits::kMaxRewriteTargets));
      break;
    }
    for (size_t i = 0; i < names; ++i) {
      rewrites->push_back({*matches ? std::optional((**matches)[i]) : std::nullopt, *targets});
    }
  }
  return wrong;
}

std::shared_ptr<const KubeRule> ReadRule(object from, object spec, object pool) {
  auto rule = std::make_shared<KubeRule>();
  rule->pool = TextAt(pool, "name");
  if (const auto metadata = ObjectAt(from, "metadata")) {
    rule->created = TextAt(*metadata, "creationTimestamp");
  }
  int64_t priority = 0;
  const auto error = spec["priority"].get(priority);
  using Priorities = std::numeric_limits<int32_t>;
  if (error == simdjson::SUCCESS && priority >= Priorities::min() &&
      priority <= Priorities::max()) {
    rule->priority = static_cast<int32_t>(priority);
  } else if (error != simdjson::NO_SUCH_FIELD && !spec["priority"].is_null()) {
    rule->wrong = "priority: is no whole number of 32 bits";
  }
  if (const auto rules = ArrayAt(spec, "rules")) {
    if (absl::Status status = ReadRewrites(*rules, &rule->rewrites); !status.ok()) {
      rule->wrong = std::string(MessageOf(status));
    }
  }
  return rule;
}

KubeObject ReadObject(object from) {
  KubeObject to;
  if (const auto metadata = ObjectAt(from, "metadata")) ReadMetadata(*metadata, &to);
  if (const auto status = ObjectAt(from, "status")) ReadPodStatus(*status, &to);
  const auto spec = ObjectAt(from, "spec");
  if (!spec) return to;
  if (const auto pool = ObjectAt(*spec, "poolRef")) {
    to.rule = ReadRule(from, *spec, *pool);
  } else {
    ReadPoolSpec(*spec, &to);
  }
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
