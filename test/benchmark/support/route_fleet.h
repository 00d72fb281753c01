#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_ROUTE_FLEET_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_ROUTE_FLEET_H_

#include <cstdint>
#include <string>
#include <vector>

#include "indexer/base/clock.h"
#include "test/support/routing_fixture.h"

namespace kvroute {

// The fleet that Route is measured on: of `workers` every second one holds half of the prompt and
// the first one all of its full blocks. The clock is the real one.
//
// Thread safety: as its parts; stores are made by the constructor.
class RouteFleet : public RoutingFixture {
 public:
  static constexpr uint32_t kBlockSizeTokens = 16;

  RouteFleet(size_t prompt_tokens, size_t workers, LoadTrackerOptions loads = {});

  static std::string WorkerId(size_t i) { return "worker-" + std::to_string(i); }
  // What the i-th worker holds, from the prompt's first token on.
  std::vector<TokenId> Held(size_t i) const;

  const std::vector<TokenId> prompt;  // full blocks, and one token more
};

// Asks where `prompt` should go; views it.
Query QueryFor(absl::Span<const TokenId> prompt);

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_ROUTE_FLEET_H_
