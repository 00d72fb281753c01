#include "test/benchmark/support/chains.h"

#include "tools/workload/random.h"

namespace kvroute {

BlockChain MakeChain(uint64_t seed, size_t length) { return Extend({}, 0, seed, length); }

BlockChain Extend(const BlockChain& base, size_t shared, uint64_t seed, size_t length) {
  BlockChain chain;
  chain.locals.assign(base.locals.begin(), base.locals.begin() + static_cast<ptrdiff_t>(shared));
  SeededRandom random(seed);
  for (size_t i = 0; i < length; ++i) chain.locals.emplace_back(random.Next());
  ChainLocals(chain.locals, &chain.prefixes);
  for (const PrefixHash prefix : chain.prefixes) chain.engine_hashes.emplace_back(prefix.value());
  return chain;
}

}  // namespace kvroute
