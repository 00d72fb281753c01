#include "router/fleet/scrape/engine_metrics.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "indexer/base/limits.h"

namespace kvroute {
namespace {

enum class Says : uint8_t { kWaiting, kRunning, kKvUsage, kCapacity };

// One metric of one engine; `label` and `value`: only the series with it.
struct Row {
  std::string_view name;
  Says says;
  std::string_view label = {};
  std::string_view value = {};
  // The number is not the sample's, but that of this label.
  std::string_view number_in = {};
};

constexpr std::array<Row, 18> kRows = {{
    {"vllm:num_requests_waiting", Says::kWaiting},
    {"vllm:num_requests_running", Says::kRunning},
    {"vllm:kv_cache_usage_perc", Says::kKvUsage},
    {"vllm:gpu_cache_usage_perc", Says::kKvUsage},
    {"vllm:cache_config_info", Says::kCapacity, "", "", "num_gpu_blocks"},
    {"sglang:num_queue_reqs", Says::kWaiting},
    {"sglang:num_running_reqs", Says::kRunning},
    {"sglang:token_usage", Says::kKvUsage},
    {"sglang:cache_config_info", Says::kCapacity, "", "", "num_pages"},
    {"trtllm_num_requests_waiting", Says::kWaiting},
    {"trtllm_num_requests_running", Says::kRunning},
    {"trtllm_kv_cache_utilization", Says::kKvUsage},
    {"trtllm_kv_cache_max_blocks", Says::kCapacity},
    {"nv_trt_llm_request_metrics", Says::kWaiting, "request_type", "waiting"},
    {"nv_trt_llm_request_metrics", Says::kRunning, "request_type", "scheduled"},
    {"nv_trt_llm_kv_cache_block_metrics", Says::kKvUsage, "kv_cache_block_type", "fraction"},
    {"nv_trt_llm_kv_cache_block_metrics", Says::kCapacity, "kv_cache_block_type", "max"},
    {"nv_inference_pending_request_count", Says::kWaiting},
}};

// One line "name{label="value",...} number [time]", in views of it.
struct Sample {
  std::string_view name;
  std::string_view labels;  // between the braces
  std::string_view number;
};

std::optional<Sample> SampleOf(std::string_view line) {
  const size_t end = line.find_first_of("{ \t");
  if (end == 0 || end == std::string_view::npos) return std::nullopt;
  Sample sample{line.substr(0, end), {}, line.substr(end)};
  if (line[end] == '{') {
    // A brace within a value does not end the labels.
    bool quoted = false;
    size_t at = end + 1;
    for (; at < line.size() && (quoted || line[at] != '}'); ++at) {
      if (quoted && line[at] == '\\')
        ++at;
      else if (line[at] == '"')
        quoted = !quoted;
    }
    if (at >= line.size()) return std::nullopt;
    sample.labels = line.substr(end + 1, at - end - 1);
    sample.number = line.substr(at + 1);
  }
  const size_t begin = sample.number.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return std::nullopt;
  sample.number.remove_prefix(begin);
  sample.number = sample.number.substr(0, sample.number.find_first_of(" \t\r"));
  return sample;
}

// As it is written: none that is asked for has anything escaped in it. nullopt: there is none.
std::optional<std::string_view> LabelOf(const Sample& sample, std::string_view name) {
  std::string_view rest = sample.labels;
  while (!rest.empty()) {
    const size_t equals = rest.find("=\"");
    if (equals == std::string_view::npos) return std::nullopt;
    std::string_view key = rest.substr(0, equals);
    key.remove_prefix(std::min(key.size(), key.find_first_not_of(", \t")));
    rest.remove_prefix(equals + 2);
    size_t end = 0;
    while (end < rest.size() && rest[end] != '"') end += rest[end] == '\\' ? 2 : 1;
    if (end >= rest.size()) return std::nullopt;
    if (key == name) return rest.substr(0, end);
    rest.remove_prefix(end + 1);
  }
  return std::nullopt;
}

std::optional<double> NumberOf(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole || !std::isfinite(number) || number < 0) return std::nullopt;
  return number;
}

std::optional<uint32_t> RankOf(const Sample& sample) {
  for (const std::string_view name : {"engine", "dp_rank"}) {
    const auto text = LabelOf(sample, name);
    if (!text) continue;
    uint32_t rank = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), rank);
    if (error == std::errc() && end == text->data() + text->size()) return rank;
  }
  return std::nullopt;
}

void Add(std::optional<double>* to, double number) { *to = to->value_or(0) + number; }

void Take(Says says, double number, EngineNumbers* to) {
  switch (says) {
    case Says::kWaiting:
      return Add(&to->waiting, number);
    case Says::kRunning:
      return Add(&to->running, number);
    case Says::kKvUsage:
      to->kv_usage = std::max(to->kv_usage.value_or(0), std::min(number, 1.0));
      return;
    case Says::kCapacity:
      to->capacity_blocks = std::max(to->capacity_blocks.value_or(0), number);
      return;
  }
}

// nullptr: there are too many.
EngineNumbers* NumbersOf(std::optional<uint32_t> rank, std::vector<EngineNumbers>* numbers) {
  for (EngineNumbers& of : *numbers) {
    if (of.rank == rank) return &of;
  }
  if (numbers->size() == limits::kMaxEngineRanks) return nullptr;
  numbers->emplace_back().rank = rank;
  return &numbers->back();
}

void ReadLine(std::string_view line, std::vector<EngineNumbers>* numbers) {
  // Of a page of thousands of lines a few are looked at: by their first letter.
  if (line.empty() || (line[0] != 'v' && line[0] != 's' && line[0] != 't' && line[0] != 'n'))
    return;
  const size_t name_end = std::min(line.find_first_of("{ \t"), line.size());
  const std::string_view name = line.substr(0, name_end);
  std::optional<Sample> sample;
  for (const Row& row : kRows) {
    if (row.name != name || name.empty()) continue;
    if (!sample) sample = SampleOf(line);
    if (!sample) return;
    if (!row.label.empty() && LabelOf(*sample, row.label) != row.value) continue;
    const std::optional<double> number =
        row.number_in.empty() ? NumberOf(sample->number)
                              : NumberOf(LabelOf(*sample, row.number_in).value_or(""));
    EngineNumbers* const of = number ? NumbersOf(RankOf(*sample), numbers) : nullptr;
    if (of != nullptr) Take(row.says, *number, of);
  }
}

}  // namespace

void ReadEngineMetrics(std::string_view page, std::vector<EngineNumbers>* numbers) {
  numbers->clear();
  while (!page.empty()) {
    const size_t end = std::min(page.find('\n'), page.size());
    ReadLine(page.substr(0, end), numbers);
    page.remove_prefix(std::min(end + 1, page.size()));
  }
}

EngineNumbers Together(const std::vector<EngineNumbers>& numbers) {
  EngineNumbers all;
  for (const EngineNumbers& of : numbers) {
    if (of.waiting) Add(&all.waiting, *of.waiting);
    if (of.running) Add(&all.running, *of.running);
    if (of.capacity_blocks) Add(&all.capacity_blocks, *of.capacity_blocks);
    if (of.kv_usage) all.kv_usage = std::max(all.kv_usage.value_or(0), *of.kv_usage);
  }
  return all;
}

}  // namespace kvroute
