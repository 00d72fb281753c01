#include <cstdint>
#include <string_view>
#include <vector>

#include "indexer/base/check.h"
#include "indexer/base/limits.h"
#include "router/fleet/scrape/engine_metrics.h"

// Whatever a metrics page says: no crash, a bounded number of ranks, each once, and numbers.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static auto* const numbers = new std::vector<kvroute::EngineNumbers>();
  kvroute::ReadEngineMetrics({reinterpret_cast<const char*>(data), size}, numbers);
  KVROUTE_CHECK(numbers->size() <= kvroute::limits::kMaxEngineRanks);
  for (const kvroute::EngineNumbers& of : *numbers) {
    KVROUTE_CHECK(of.waiting.value_or(0) >= 0 && of.running.value_or(0) >= 0);
    KVROUTE_CHECK(of.kv_usage.value_or(0) >= 0 && of.kv_usage.value_or(0) <= 1);
  }
  (void)kvroute::Together(*numbers);
  return 0;
}
