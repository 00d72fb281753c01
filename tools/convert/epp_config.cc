#include "tools/convert/epp_config.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "router/config/parse_config.h"
#include "tools/convert/epp_reader.h"

namespace kvroute {
namespace {

constexpr std::string_view kKind = "EndpointPickerConfig";
constexpr std::string_view kVersions[] = {"llm-d.ai/v1alpha1",
                                          "inference.networking.x-k8s.io/v1alpha1"};

// A YAML string in quotes; none of these texts has control characters.
std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

// False: it is another kind of file.
bool CheckHead(const ConfigNode& root, EppReader* reader) {
  const ConfigNode* const version = root.Find("apiVersion");
  const ConfigNode* const kind = root.Find("kind");
  if (version == nullptr || kind == nullptr || kind->scalar != kKind) {
    reader->Refuse(root, fmt::format("is no {}", kKind));
    return false;
  }
  if (std::find(std::begin(kVersions), std::end(kVersions), version->scalar) ==
      std::end(kVersions)) {
    reader->Refuse(*version, fmt::format("apiVersion: \"{}\" is none of {}", version->scalar,
                                         fmt::join(kVersions, ", ")));
  }
  reader->ExpectKeys(
      root, {"apiVersion", "kind", "featureGates", "plugins", "schedulingProfiles", "dataLayer",
             "data", "flowControl", "requestHandler", "saturationDetector", "parser"});
  return true;
}

void ReadPlugins(const ConfigNode& root, EppReader* reader) {
  const ConfigNode* const list = root.Find("plugins");
  if (list == nullptr) return;
  for (const ConfigNode& entry : list->items) {
    reader->ExpectKeys(entry, {"name", "type", "parameters"});
    EppPlugin plugin;
    plugin.type = EppReader::TextOf(&entry, "type");
    plugin.entry = &entry;
    plugin.parameters = entry.Find("parameters");
    if (plugin.parameters != nullptr && plugin.parameters->kind != ConfigNode::Kind::kMap) {
      plugin.parameters = nullptr;
    }
    std::string name = EppReader::TextOf(&entry, "name");
    if (name.empty()) name = plugin.type;
    if (plugin.type.empty()) {
      reader->Refuse(entry, "type: missing");
    } else if (!reader->plugins.emplace(name, plugin).second) {
      reader->Refuse(entry, fmt::format("\"{}\": there are two plugins of this name", name));
    }
  }
  // In the file's order.
  for (const ConfigNode& entry : list->items) {
    for (auto& [name, plugin] : reader->plugins) {
      if (plugin.entry == &entry) TakeEppPlugin(&plugin, reader);
    }
  }
}

// Every pluginRef below a node must be a plugin's name, or the type of one with defaults.
void CheckReferences(const ConfigNode& node, EppReader* reader) {
  for (const ConfigNode& item : node.items) CheckReferences(item, reader);
  for (const auto& [key, value] : node.entries) {
    if (key == "pluginRef" && !reader->plugins.contains(value.scalar)) {
      reader->Refuse(value, fmt::format("pluginRef: there is no plugin \"{}\"", value.scalar));
    }
    CheckReferences(value, reader);
  }
}

void ReadProfiles(const ConfigNode& root, EppReader* reader) {
  const ConfigNode* const profiles = root.Find("schedulingProfiles");
  if (profiles == nullptr) return;
  for (const ConfigNode& profile : profiles->items) {
    reader->ExpectKeys(profile, {"name", "plugins"});
    const ConfigNode* const plugins = profile.Find("plugins");
    std::vector<std::string> weights;
    for (const ConfigNode& plugin :
         plugins == nullptr ? std::vector<ConfigNode>() : plugins->items) {
      reader->ExpectKeys(plugin, {"pluginRef", "weight"});
      const std::string weight = EppReader::TextOf(&plugin, "weight");
      if (weight.empty()) continue;
      weights.push_back(fmt::format("{} {}", EppReader::TextOf(&plugin, "pluginRef"), weight));
    }
    if (weights.empty()) continue;
    reader->Note(profile,
                 fmt::format("profile \"{}\": weights are not taken over: {}",
                             EppReader::TextOf(&profile, "name"), fmt::join(weights, ", ")));
  }
}

void NoteTheRest(const ConfigNode& root, EppReader* reader) {
  const std::pair<std::string_view, std::string_view> dropped[] = {
      {"featureGates", "not used"},
      {"flowControl",
       "left out; kvroute queues nothing: max_requests_in_flight of workers, picker.overloaded and "
       "picker.sheddable_objectives say what is refused"},
      {"saturationDetector", "left out; max_requests_in_flight of a worker says when it is full"},
      {"parser", "not needed; a body's API is told by its path"}};
  for (const auto& [key, note] : dropped) {
    if (const ConfigNode* const found = root.Find(key)) {
      reader->Note(*found, fmt::format("{}: {}", key, note));
    }
  }
}

// One cannot tell from the file which pods are meant where the flags say it.
void WriteDiscovery(const EppWanted& wanted, const EppConversion& options, std::string* yaml) {
  const std::string pool_namespace =
      options.kube_namespace.empty() ? wanted.pod_namespace : options.kube_namespace;
  const bool has_pods = wanted.file.empty() && (!options.pool.empty() || !wanted.selector.empty());
  const bool has_engines =
      wanted.event_port != 0 || wanted.replay_port != 0 || !wanted.engine.empty();
  if (wanted.file.empty() && !has_pods && !has_engines) return;
  *yaml += "discovery:\n";
  if (!wanted.file.empty()) *yaml += fmt::format("  file: {}\n", Quoted(wanted.file));
  if (has_pods) {
    *yaml += "  kubernetes:\n";
    *yaml += options.pool.empty() ? fmt::format("    selector: {}\n", Quoted(wanted.selector))
                                  : fmt::format("    pool: {}\n", Quoted(options.pool));
    if (!pool_namespace.empty()) {
      *yaml += fmt::format("    namespace: {}\n", Quoted(pool_namespace));
    }
  }
  if (!has_engines) return;
  *yaml += "  engines:\n";
  if (!wanted.engine.empty()) *yaml += fmt::format("    engine: {}\n", wanted.engine);
  if (wanted.event_port != 0) *yaml += fmt::format("    event_port: {}\n", wanted.event_port);
  if (wanted.replay_port != 0) *yaml += fmt::format("    replay_port: {}\n", wanted.replay_port);
}

std::string Write(const EppWanted& wanted, const EppConversion& options) {
  std::string yaml = "# From an EndpointPickerConfig, by kvroute convert epp-config.\n";
  yaml += "picker:\n  listen: 0.0.0.0:9002\n  health_listen: 0.0.0.0:9003\n";
  if (wanted.endpoints > 1) {
    yaml += fmt::format("  fallback_endpoints: {}\n", wanted.endpoints - 1);
  }
  const std::string decider = wanted.decider.empty() ? "by_prompt" : wanted.decider;
  yaml += fmt::format("  prefill: {}\n", wanted.disaggregates ? decider : "never");
  if (wanted.uncached_tokens != 0) {
    yaml += fmt::format("  prefill_uncached_tokens: {}\n", wanted.uncached_tokens);
  }
  if (wanted.prompt_tokens != 0) {
    yaml += fmt::format("  prefill_prompt_tokens: {}\n", wanted.prompt_tokens);
  }
  if (!wanted.render_timeout.empty()) {
    yaml += fmt::format("  pick_timeout: {}\n", wanted.render_timeout);
  }
  yaml += "http:\n  listen: 0.0.0.0:9090\n";
  const std::string_view policy = wanted.picks_at_random                  ? "random"
                                  : wanted.has_load || !wanted.has_prefix ? "work"
                                                                          : "prefix";
  yaml += fmt::format("routing:\n  policy: {}\n", policy);
  if (!wanted.renderer_url.empty()) {
    yaml += fmt::format("prompts:\n  renderers:\n  - url: {}\n", Quoted(wanted.renderer_url));
    if (!wanted.renderer_model.empty()) {
      yaml += fmt::format("    model: {}\n", Quoted(wanted.renderer_model));
    }
  }
  if (!wanted.listen_endpoint.empty()) {
    yaml += fmt::format("listeners:\n- endpoint: {}\n", Quoted(wanted.listen_endpoint));
    if (!wanted.listen_topic.empty()) {
      yaml += fmt::format("  topic: {}\n", Quoted(wanted.listen_topic));
    }
    if (!wanted.engine.empty()) yaml += fmt::format("  engine: {}\n", wanted.engine);
  }
  WriteDiscovery(wanted, options, &yaml);
  return yaml;
}

}  // namespace

absl::StatusOr<ConvertedConfig> ConvertEppConfig(const std::string& text, const std::string& name,
                                                 const EppConversion& options) {
  absl::StatusOr<ConfigNode> root = ParseYaml(text, name);
  if (!root.ok()) return root.status();
  EppReader reader;
  reader.ignore_unknown = options.ignore_unknown;
  if (CheckHead(*root, &reader)) {
    ReadPlugins(*root, &reader);
    CheckReferences(*root, &reader);
    ReadProfiles(*root, &reader);
    NoteTheRest(*root, &reader);
  }
  const EppWanted& wanted = reader.wanted;
  if (wanted.has_precise && !wanted.estimate_place.empty()) {
    reader.errors.push_back(fmt::format(
        "{}: estimate: guessed tokens never match what engines hold; leave it out, and kvroute "
        "asks the engines for tokens",
        wanted.estimate_place));
  }
  if (!reader.errors.empty()) {
    return absl::InvalidArgumentError(fmt::format("{}", fmt::join(reader.errors, "\n")));
  }
  if (options.pool.empty() && wanted.selector.empty() && wanted.file.empty() &&
      wanted.listen_endpoint.empty()) {
    reader.Note(*root, "where the engines are is not in the file: name the pool, or the pods");
  }
  ConvertedConfig converted{Write(wanted, options), std::move(reader.notes)};
  const auto config = ParseConfig(converted.yaml, "the converted configuration", {});
  if (!config.ok()) return config.status();
  return converted;
}

}  // namespace kvroute
