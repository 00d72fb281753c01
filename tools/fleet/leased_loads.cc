#include "tools/fleet/leased_loads.h"

#include "indexer/base/check.h"

namespace kvroute {

void LeasedLoads::Begin(uint64_t number, size_t target, uint64_t uncached_tokens,
                        uint64_t output_tokens) {
  Load& load = loads_[target];
  ++load.requests_in_flight;
  ++load.requests_begun;
  load.uncached_tokens_outstanding += uncached_tokens;
  load.output_tokens_expected += output_tokens;
  const bool fresh =
      leases_.try_emplace(number, Lease{target, uncached_tokens, output_tokens}).second;
  KVROUTE_CHECK(fresh);
}

void LeasedLoads::Prefilled(uint64_t number) {
  const auto lease = leases_.find(number);
  KVROUTE_CHECK(lease != leases_.end());
  Prefilled(&lease->second);
}

void LeasedLoads::Ended(uint64_t number) {
  const auto lease = leases_.find(number);
  KVROUTE_CHECK(lease != leases_.end());
  Prefilled(&lease->second);
  Load& load = loads_[lease->second.target];
  --load.requests_in_flight;
  load.output_tokens_expected -= lease->second.output_tokens;
  leases_.erase(lease);
}

void LeasedLoads::Prefilled(Lease* lease) {
  loads_[lease->target].uncached_tokens_outstanding -= lease->uncached_tokens;
  lease->uncached_tokens = 0;
}

}  // namespace kvroute
