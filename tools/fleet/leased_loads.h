#ifndef KVROUTE_TOOLS_FLEET_LEASED_LOADS_H_
#define KVROUTE_TOOLS_FLEET_LEASED_LOADS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace kvroute {

// What was sent to each target and has not ended, counted as kvroute's leases count it.
//
// Thread safety: one thread at a time. Errors: a number that has no lease, or has one already, is a
// programmer's (CHECK).
class LeasedLoads {
 public:
  struct Load {
    uint32_t requests_in_flight = 0;
    uint32_t requests_begun = 0;  // ever
    uint64_t uncached_tokens_outstanding = 0;
    uint64_t output_tokens_expected = 0;
  };

  explicit LeasedLoads(size_t targets) : loads_(targets) {}

  const Load& operator[](size_t target) const { return loads_[target]; }
  size_t size() const { return loads_.size(); }

  void Begin(uint64_t number, size_t target, uint64_t uncached_tokens, uint64_t output_tokens);
  // The request's first token is out; again: nothing.
  void Prefilled(uint64_t number);
  void Ended(uint64_t number);

 private:
  struct Lease {
    size_t target = 0;
    uint64_t uncached_tokens = 0;  // 0 once prefilled
    uint64_t output_tokens = 0;
  };
  void Prefilled(Lease* lease);

  std::vector<Load> loads_;
  absl::flat_hash_map<uint64_t, Lease> leases_;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_FLEET_LEASED_LOADS_H_
