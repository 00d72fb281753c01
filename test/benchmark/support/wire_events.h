#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_WIRE_EVENTS_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_WIRE_EVENTS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace kvroute {

// Payloads as vLLM publishes them (maps, 64-bit hashes), one event each, in an endless cycle that
// leaves `held` chains of `blocks` blocks in the index: even payloads remove chain n - held, odd
// ones store chain n, round `chains` chains. In the first cycle the first `held` removals name what
// is not there yet.
class WireEvents {
 public:
  static constexpr uint32_t kBlockTokens = 16;

  WireEvents(uint64_t seed, size_t blocks, size_t chains, size_t held);

  const std::string& Payload(size_t turn) const { return payloads_[turn % payloads_.size()]; }
  size_t cycle_length() const { return payloads_.size(); }

 private:
  std::vector<std::string> payloads_;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_WIRE_EVENTS_H_
