#include "tools/engine/engine_pages.h"

#include <fmt/format.h>

#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "indexer/base/error.h"

namespace kvroute {
namespace {

using Json = nlohmann::ordered_json;

std::string_view ErrorType(int http_status) {
  switch (http_status) {
    case 400:
    case 413:
      return "BadRequestError";
    case 404:
      return "NotFoundError";
    default:
      return "InternalServerError";
  }
}

Json ModelJson(const std::string& id, const Json& parent, const ServedModels& models,
               int64_t created_unix_s) {
  return {{"id", id},
          {"object", "model"},
          {"created", created_unix_s},
          {"owned_by", "kvroute-engine"},
          {"root", id},
          {"parent", parent},
          {"max_model_len", models.max_model_tokens}};
}

Json OrNull(const std::string& text) { return text.empty() ? Json() : Json(text); }

struct Gauge {
  const char* vllm;    // nullptr: vLLM has no such metric
  const char* sglang;  // nullptr: SGLang has none
  const char* type;
  std::function<double(const RankCounts&)> value;
};

std::vector<Gauge> Gauges(double capacity_blocks) {
  using Counts = const RankCounts&;
  const auto as = [](const std::atomic<uint64_t>& count) {
    return static_cast<double>(count.load(std::memory_order_relaxed));
  };
  return {
      {"vllm:num_requests_waiting", "sglang:num_queue_reqs", "gauge",
       [as](Counts c) { return as(c.waiting); }},
      {"vllm:num_requests_running", "sglang:num_running_reqs", "gauge",
       [as](Counts c) { return as(c.running); }},
      {"vllm:kv_cache_usage_perc", "sglang:token_usage", "gauge",
       [as, capacity_blocks](Counts c) { return as(c.used_blocks) / capacity_blocks; }},
      {"vllm:prompt_tokens_total", "sglang:prompt_tokens_total", "counter",
       [as](Counts c) { return as(c.prompt_tokens); }},
      {"vllm:generation_tokens_total", "sglang:generation_tokens_total", "counter",
       [as](Counts c) { return as(c.generated_tokens); }},
      {"vllm:prefix_cache_queries_total", nullptr, "counter",
       [as](Counts c) { return as(c.prompt_tokens); }},
      {"vllm:prefix_cache_hits_total", "sglang:cached_tokens_total", "counter",
       [as](Counts c) { return as(c.cached_tokens); }},
      {"vllm:num_preemptions_total", "sglang:num_retracted_reqs_total", "counter",
       [as](Counts c) { return as(c.preemptions); }},
      {"vllm:request_success_total", "sglang:num_requests_total", "counter",
       [as](Counts c) { return as(c.finished); }},
      {"vllm:request_aborted_total", "sglang:num_aborted_requests_total", "counter",
       [as](Counts c) { return as(c.aborted); }},
      // Ours: who has heard so many batches of this life knows what the engine holds.
      {"simulated:published_batches", "simulated:published_batches", "gauge",
       [as](Counts c) { return as(c.published_batches); }},
  };
}

// A label's value: what a command line gave, with what would end it escaped.
std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char byte : text) {
    if (byte == '\\' || byte == '"') escaped += '\\';
    escaped += byte == '\n' ? ' ' : byte;
  }
  return escaped;
}

}  // namespace

int HttpStatusOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kOutOfRange:
      return 413;
    case absl::StatusCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

std::string ErrorJson(int http_status, const absl::Status& status) {
  const Json error = {{"error",
                       {{"message", MessageOf(status)},
                        {"type", ErrorType(http_status)},
                        {"param", nullptr},
                        {"code", http_status}}}};
  return error.dump();
}

std::string ModelsJson(const ServedModels& models, int64_t created_unix_s) {
  Json list = Json::array({ModelJson(models.base, nullptr, models, created_unix_s)});
  for (const std::string& adapter : models.adapters) {
    list.push_back(ModelJson(adapter, models.base, models, created_unix_s));
  }
  return Json{{"object", "list"}, {"data", list}}.dump();
}

std::string RenderJson(const ApiRequest& request, uint64_t number) {
  Json list = Json::array();
  for (const std::vector<TokenId>& prompt : request.prompts) {
    Json one = {{"request_id", fmt::format("render-{:016x}-{}", number, list.size())},
                {"token_ids", prompt},
                {"features", nullptr},
                {"sampling_params", Json::object()},
                {"model", request.model},
                {"stream", request.stream},
                {"stream_options", request.stream_options.empty()
                                       ? Json()
                                       : Json::parse(request.stream_options, nullptr, false)},
                {"cache_salt", OrNull(request.cache_salt)},
                {"priority", 0},
                {"kv_transfer_params", nullptr}};
    if (request.max_tokens) one["sampling_params"]["max_tokens"] = *request.max_tokens;
    list.push_back(std::move(one));
  }
  return request.api == EngineCall::kChat ? list.front().dump() : list.dump();
}

std::string TokenizeJson(const TokenizeRequest& request, const ServedModels& models) {
  size_t count = 0;
  for (const std::vector<TokenId>& prompt : request.prompts) count += prompt.size();
  return Json{{"count", count},
              {"max_model_len", models.max_model_tokens},
              {"tokens", request.is_list ? Json(request.prompts) : Json(request.prompts.front())},
              {"token_strs", nullptr}}
      .dump();
}

std::string EventSourcesJson(const EngineHost& host, size_t engine) {
  Json sources = Json::array();
  for (uint32_t rank = 0; rank < host.ranks(); ++rank) {
    const StreamEndpoints& at = host.endpoints(engine, rank);
    sources.push_back({{"data_parallel_rank", rank},
                       {"endpoint", at.event},
                       {"replay_endpoint", OrNull(at.replay)},
                       {"topic", at.topic}});
  }
  return sources.dump();
}

std::string MetricsText(const EngineHost& host, size_t engine, const ServedModels& models) {
  const bool sglang = EngineKindOf(host.style()) == EngineKind::kSglang;
  const uint32_t blocks = host.engine_options().capacity_blocks;
  const std::string model = Escaped(models.base);
  std::string text;
  const auto out = std::back_inserter(text);
  for (const Gauge& gauge : Gauges(blocks)) {
    const char* const name = sglang ? gauge.sglang : gauge.vllm;
    if (name == nullptr) continue;
    fmt::format_to(out, "# HELP {} Of the simulated engine.\n# TYPE {} {}\n", name, name,
                   gauge.type);
    for (uint32_t rank = 0; rank < host.ranks(); ++rank) {
      fmt::format_to(out, "{}{{{}=\"{}\",model_name=\"{}\"}} {}\n", name,
                     sglang ? "dp_rank" : "engine", rank, model,
                     gauge.value(host.counts(engine, rank)));
    }
  }
  const char* const info = sglang ? "sglang:cache_config_info" : "vllm:cache_config_info";
  fmt::format_to(out, "# HELP {} Of the simulated engine.\n# TYPE {} gauge\n", info, info);
  for (uint32_t rank = 0; rank < host.ranks(); ++rank) {
    fmt::format_to(out, "{}{{{}=\"{}\",{}=\"{}\",{}=\"{}\"}} 1\n", info,
                   sglang ? "dp_rank" : "engine", rank, sglang ? "page_size" : "block_size",
                   host.engine_options().block_size_tokens, sglang ? "num_pages" : "num_gpu_blocks",
                   blocks);
  }
  if (!sglang && !models.adapters.empty()) {
    std::string adapters;
    for (const std::string& adapter : models.adapters) {
      adapters += (adapters.empty() ? "" : ",") + Escaped(adapter);
    }
    fmt::format_to(out,
                   "# TYPE vllm:lora_requests_info gauge\n"
                   "vllm:lora_requests_info{{max_lora=\"{}\",running_lora_adapters=\"{}\","
                   "waiting_lora_adapters=\"\"}} 1\n",
                   models.adapters.size(), adapters);
  }
  return text;
}

}  // namespace kvroute
