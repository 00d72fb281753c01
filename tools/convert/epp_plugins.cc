// What kvroute has for each plugin of llm-d's picker.
#include <fmt/core.h>

#include "tools/convert/epp_reader.h"

namespace kvroute {
namespace {

using Take = void (*)(EppPlugin* plugin, EppReader* reader);

struct Rule {
  std::string_view type;
  Take take;              // nullptr: the note says it all
  std::string_view note;  // empty: nothing need be said
};

constexpr std::string_view kWeighs =
    "kvroute's own policy weighs cache against load; its parameters are not used";

void TakePrefix(EppPlugin*, EppReader* reader) { reader->wanted.has_prefix = true; }
void TakeLoad(EppPlugin*, EppReader* reader) { reader->wanted.has_load = true; }

void TakeEvents(const ConfigNode* events, EppReader* reader) {
  if (events == nullptr) return;
  EppWanted& wanted = reader->wanted;
  reader->ExpectKeys(*events, {"zmqEndpoint", "topicFilter", "concurrency", "engineType",
                               "discoverPods", "podDiscoveryConfig"});
  wanted.listen_endpoint = EppReader::TextOf(events, "zmqEndpoint");
  wanted.listen_topic = EppReader::TextOf(events, "topicFilter");
  wanted.engine = EppReader::TextOf(events, "engineType");
  if (!wanted.engine.empty() && wanted.engine != "vllm" && wanted.engine != "sglang") {
    reader->Refuse(*events->Find("engineType"),
                   fmt::format("engineType: \"{}\" is neither vllm nor sglang", wanted.engine));
  }
  if (!reader->BoolOf(events, "discoverPods", true)) return;
  const ConfigNode* const pods = events->Find("podDiscoveryConfig");
  wanted.selector = "llm-d.ai/inference-serving=true";
  if (pods == nullptr) return;
  reader->ExpectKeys(*pods, {"podLabelSelector", "podNamespace", "socketPort", "replaySocketPort"});
  if (std::string own = EppReader::TextOf(pods, "podLabelSelector"); !own.empty()) {
    wanted.selector = std::move(own);
  }
  wanted.pod_namespace = EppReader::TextOf(pods, "podNamespace");
  wanted.event_port = reader->NumberOf(pods, "socketPort", 0);
  wanted.replay_port = reader->NumberOf(pods, "replaySocketPort", 0);
}

void TakePrecise(EppPlugin* plugin, EppReader* reader) {
  reader->wanted.has_prefix = reader->wanted.has_precise = true;
  const ConfigNode* const given = plugin->parameters;
  if (given == nullptr) {
    reader->wanted.selector = "llm-d.ai/inference-serving=true";
    return;
  }
  reader->ExpectKeys(*given, {"tokenProcessorConfig", "indexerConfig", "kvEventsConfig",
                              "speculativeIndexing", "speculativeTTL"});
  TakeEvents(given->Find("kvEventsConfig"), reader);
  if (const ConfigNode* const tokens = given->Find("tokenProcessorConfig")) {
    reader->ExpectKeys(*tokens, {"blockSizeTokens", "blockSize", "hashSeed", "hashAlgorithm"});
    reader->Note(*tokens,
                 "tokenProcessorConfig: not needed; block size and hashes are learned from the "
                 "engines' events");
  }
  if (const ConfigNode* const indexer = given->Find("indexerConfig")) {
    reader->Note(*indexer,
                 "indexerConfig: not needed; the index is in memory, bounded by memory.limit, and "
                 "the tiers of a match are in every answer");
  }
  if (const ConfigNode* const guessed = given->Find("speculativeIndexing")) {
    reader->Note(*guessed,
                 "speculativeIndexing: not needed; what was routed counts as load at once");
  }
}

// A prompt whose tokens are guessed never matches what engines hold: every decision would be made
// by load, without a word.
void TakeTokens(EppPlugin* plugin, EppReader* reader) {
  const ConfigNode* const given = plugin->parameters;
  if (given == nullptr) return;
  EppWanted& wanted = reader->wanted;
  reader->ExpectKeys(*given, {"modelName", "vllm", "estimate", "udsTokenizerConfig", "local"});
  wanted.renderer_model = EppReader::TextOf(given, "modelName");
  if (const ConfigNode* const estimate = given->Find("estimate")) {
    wanted.estimate_place = estimate->place;
  }
  if (const ConfigNode* const uds = given->Find("udsTokenizerConfig")) {
    reader->Note(*uds, "udsTokenizerConfig: not used; the engines themselves are asked for tokens");
  }
  const ConfigNode* const vllm = given->Find("vllm");
  if (vllm == nullptr) return;
  reader->ExpectKeys(*vllm, {"url", "timeout", "mmTimeout", "http"});
  wanted.renderer_url = EppReader::TextOf(vllm, "url");
  wanted.render_timeout = EppReader::TextOf(vllm, "timeout");
  if (wanted.renderer_url.empty()) wanted.renderer_url = "http://localhost:8000";
}

void TakePicker(EppPlugin* plugin, EppReader* reader) {
  if (plugin->type == "random-picker") reader->wanted.picks_at_random = true;
  if (plugin->parameters == nullptr) return;
  reader->ExpectKeys(*plugin->parameters, {"maxNumOfEndpoints"});
  reader->wanted.endpoints = reader->NumberOf(plugin->parameters, "maxNumOfEndpoints", 1);
}

void TakeFile(EppPlugin* plugin, EppReader* reader) {
  if (plugin->parameters != nullptr) {
    reader->ExpectKeys(*plugin->parameters, {"path", "watchFile"});
  }
  reader->wanted.file = EppReader::TextOf(plugin->parameters, "path");
  if (reader->wanted.file.empty()) reader->Refuse(*plugin->entry, "file-discovery: path: missing");
}

void TakeDisagg(EppPlugin* plugin, EppReader* reader) {
  EppWanted& wanted = reader->wanted;
  wanted.disaggregates = true;
  const ConfigNode* const given = plugin->parameters;
  if (given == nullptr) return;
  reader->ExpectKeys(*given, {"profiles", "deciders", "decodeProfile", "prefillProfile",
                              "encodeProfile", "prefixPluginType", "prefixPluginName",
                              "hashBlockSize", "threshold", "deciderPluginName", "primaryPort"});
  wanted.uncached_tokens = reader->NumberOf(given, "threshold", wanted.uncached_tokens);
}

void TakePrefixDecider(EppPlugin* plugin, EppReader* reader) {
  if (plugin->parameters != nullptr) {
    reader->ExpectKeys(*plugin->parameters, {"nonCachedTokens", "promptTokens"});
  }
  EppWanted& wanted = reader->wanted;
  wanted.uncached_tokens = reader->NumberOf(plugin->parameters, "nonCachedTokens", 0);
  wanted.prompt_tokens = reader->NumberOf(plugin->parameters, "promptTokens", 0);
  wanted.decider = wanted.uncached_tokens == 0 ? "never" : "by_prompt";
  if (wanted.uncached_tokens == 0) {
    reader->Note(*plugin->entry, "nonCachedTokens is 0, which turns prefill elsewhere off");
  }
}

void TakeAlways(EppPlugin*, EppReader* reader) { reader->wanted.decider = "always"; }

// Which pods may serve is no matter of taste.
void TakeLabels(EppPlugin* plugin, EppReader* reader) {
  const std::string label = EppReader::TextOf(plugin->parameters, "label");
  const bool is_role = label == "llm-d.ai/role" || label.empty();
  if (is_role && plugin->type == "by-label") {
    return reader->Note(*plugin->entry, "by-label: the label llm-d.ai/role is heeded by itself");
  }
  reader->Unknown(*plugin->entry,
                  fmt::format("{}: kvroute filters by the pool's selector and llm-d.ai/role alone; "
                              "put other labels into discovery.kubernetes.selector",
                              plugin->type));
}

constexpr Rule kRules[] = {
    {"precise-prefix-cache-producer", TakePrecise, ""},
    {"precise-prefix-cache-scorer", TakePrecise, ""},
    {"token-producer", TakeTokens, ""},
    {"tokenizer", TakeTokens, ""},
    {"prefix-cache-scorer", TakePrefix, kWeighs},
    {"approx-prefix-cache-producer", TakePrefix,
     "not needed; matches are exact, and text without tokens goes where its beginning went"},
    {"no-hit-lru-scorer", TakeLoad, kWeighs},
    {"queue-scorer", TakeLoad, kWeighs},
    {"kv-cache-utilization-scorer", TakeLoad, kWeighs},
    {"running-requests-size-scorer", TakeLoad, kWeighs},
    {"load-aware-scorer", TakeLoad, kWeighs},
    {"token-load-scorer", TakeLoad, kWeighs},
    {"active-request-scorer", TakeLoad, kWeighs},
    {"session-affinity-scorer", nullptr,
     "left out; a session's next request goes where its cache is"},
    {"lora-affinity-scorer", nullptr,
     "left out; an adapter's cache is its own, so its requests go where it was used"},
    {"max-score-picker", TakePicker, ""},
    {"random-picker", TakePicker, ""},
    {"weighted-random-picker", TakePicker,
     "the best is picked, equals by lot, instead of a draw by weight"},
    {"single-profile-handler", nullptr, ""},
    {"disagg-profile-handler", TakeDisagg, ""},
    {"pd-profile-handler", TakeDisagg, ""},
    {"prefill-header-handler", nullptr, ""},
    {"disagg-headers-handler", nullptr, ""},
    {"data-parallel-profile-handler", nullptr,
     "not needed; ranks with ports of their own are picked by port, others by "
     "x-data-parallel-rank"},
    {"prefix-based-pd-decider", TakePrefixDecider, ""},
    {"always-disagg-pd-decider", TakeAlways, ""},
    {"decode-filter", nullptr, ""},
    {"prefill-filter", nullptr, ""},
    {"encode-filter", nullptr, "left out; kvroute picks no encoders"},
    {"by-label", TakeLabels, ""},
    {"by-label-selector", TakeLabels, ""},
    {"file-discovery", TakeFile, ""},
    {"openai-parser", nullptr, ""},
    {"anthropic-parser", nullptr, ""},
    {"vllmhttp-parser", nullptr, ""},
    {"sglanghttp-parser", nullptr, ""},
    {"passthrough-parser", nullptr, ""},
    {"vllmgrpc-parser", nullptr, "left out; requests over gRPC go by load"},
    {"vertexai-parser", nullptr, "left out; such requests go by load"},
    {"endpoint-notification-source", nullptr, ""},
    {"metrics-data-source", nullptr, "engines' metrics are asked for by itself (scrape)"},
    {"core-metrics-extractor", nullptr, ""},
    {"inflight-load-producer", nullptr, ""},
    {"utilization-detector", nullptr,
     "left out; max_requests_in_flight of a worker says when it is full"},
    {"concurrency-detector", nullptr,
     "left out; max_requests_in_flight of a worker says when it is full"},
};

}  // namespace

void TakeEppPlugin(EppPlugin* plugin, EppReader* reader) {
  for (const Rule& rule : kRules) {
    if (rule.type != plugin->type) continue;
    if (rule.take != nullptr) rule.take(plugin, reader);
    if (!rule.note.empty()) {
      reader->Note(*plugin->entry, fmt::format("{}: {}", plugin->type, rule.note));
    }
    return;
  }
  reader->Unknown(*plugin->entry,
                  fmt::format("{}: kvroute has nothing like this plugin", plugin->type));
}

}  // namespace kvroute
