#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_PICKER_FLEET_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_PICKER_FLEET_H_

#include "indexer/base/memory_budget.h"
#include "router/edge/ext_proc/picker_stats.h"
#include "router/prompt/render/http_renderer.h"
#include "test/benchmark/support/memory_transport.h"
#include "test/benchmark/support/picker_prompts.h"
#include "test/support/routing_fixture.h"

namespace kvroute {

// What kvroute's picker works with while it is measured: workers that hold the prompts of
// picker_prompts.h, and a renderer that knows their texts. The clock is the real one.
//
// Thread safety: as its parts.
class PickerFleet : public RoutingFixture {
 public:
  explicit PickerFleet(int engine_port);

  PickerStats picker_stats_;
  MemoryBudget bodies_{uint64_t{1} << 30};
  MemoryTransport transport_;
  HttpRenderer renderer_{{}, &transport_, &Clock::Real()};

 private:
  static constexpr uint32_t kBlockSizeTokens = 16;
  void AddPrompts(const PickerShape& shape);
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_PICKER_FLEET_H_
