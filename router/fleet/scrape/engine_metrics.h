#ifndef KVROUTE_ROUTER_FLEET_SCRAPE_ENGINE_METRICS_H_
#define KVROUTE_ROUTER_FLEET_SCRAPE_ENGINE_METRICS_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace kvroute {

// What an engine's metrics page says of one of its ranks.
struct EngineNumbers {
  std::optional<uint32_t> rank;  // nullopt: the page does not say which
  std::optional<double> waiting;
  std::optional<double> running;
  std::optional<double> kv_usage;  // 0 to 1
  std::optional<double> capacity_blocks;

  // Whether anything is known of its load.
  bool has_load() const { return waiting || running || kv_usage; }
};

// Reads the page of vLLM, SGLang, TensorRT-LLM or Triton (Prometheus text), whichever it is: one
// item for each rank that it names, at most kMaxEngineRanks. Lines that are not understood, and
// values that are no such number, count for nothing; of a page that is none at all, an HTML one
// say, nothing comes. `numbers` is used again from page to page.
void ReadEngineMetrics(std::string_view page, std::vector<EngineNumbers>* numbers);

// All ranks together, where one address stands for them.
EngineNumbers Together(const std::vector<EngineNumbers>& numbers);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_SCRAPE_ENGINE_METRICS_H_
