#ifndef KVROUTE_TOOLS_PLACEMENT_POLICIES_PREFILL_QUEUE_H_
#define KVROUTE_TOOLS_PLACEMENT_POLICIES_PREFILL_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace kvroute {

// How long each target's outstanding prefills are expected to take.
class PrefillQueue {
 public:
  explicit PrefillQueue(size_t targets) : outstanding_ms_(targets) {}

  void Add(uint64_t number, size_t target, double ms) {
    requests_[number] = {target, ms};
    outstanding_ms_[target] += ms;
  }
  void Prefilled(uint64_t number) {
    const auto request = requests_.find(number);
    outstanding_ms_[request->second.first] -= request->second.second;
    requests_.erase(request);
  }
  double ms(size_t target) const { return outstanding_ms_[target]; }

 private:
  std::vector<double> outstanding_ms_;
  absl::flat_hash_map<uint64_t, std::pair<size_t, double>> requests_;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_POLICIES_PREFILL_QUEUE_H_
