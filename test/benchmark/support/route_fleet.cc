#include "test/benchmark/support/route_fleet.h"

namespace kvroute {

RouteFleet::RouteFleet(size_t prompt_tokens, size_t workers, LoadTrackerOptions loads)
    : RoutingFixture({.tie_break_seed = 1}, loads, &Clock::Real()),
      prompt(Tokens(prompt_tokens + 1)) {
  std::vector<WorkerSpec> specs;
  for (size_t i = 0; i < workers; ++i) specs.push_back(Spec(WorkerId(i), 1, kBlockSizeTokens));
  AddConfiguredWorkers(specs);
  for (size_t i = 0; i < workers; ++i) {
    if (const std::vector<TokenId> held = Held(i); !held.empty()) {
      Store(WorkerId(i), held, kBlockSizeTokens);
    }
  }
}

std::vector<TokenId> RouteFleet::Held(size_t i) const {
  const size_t full = prompt.size() - 1;
  const size_t tokens = i == 0 ? full : i % 2 == 0 ? full / 2 : 0;
  return {prompt.begin(), prompt.begin() + static_cast<ptrdiff_t>(tokens)};
}

Query QueryFor(absl::Span<const TokenId> prompt) {
  Query query;
  query.model = "m";
  query.prompt.token_ids = prompt;
  return query;
}

}  // namespace kvroute
