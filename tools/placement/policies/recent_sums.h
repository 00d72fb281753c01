#ifndef KVROUTE_TOOLS_PLACEMENT_POLICIES_RECENT_SUMS_H_
#define KVROUTE_TOOLS_PLACEMENT_POLICIES_RECENT_SUMS_H_

#include <cstdint>
#include <deque>

#include "absl/container/flat_hash_map.h"
#include "indexer/base/clock.h"

namespace kvroute {

// How often, and with what sum of values, each key was added within the last `window`.
template <typename Key>
class RecentSums {
 public:
  explicit RecentSums(Nanos window) : window_(window) {}

  void Add(Nanos now, Key key, double value = 1) {
    Forget(now);
    entries_.push_back({now, key, value});
    Sum& sum = sums_[key];
    ++sum.count;
    sum.value += value;
  }
  void Forget(Nanos now) {
    for (; !entries_.empty() && entries_.front().at + window_ <= now; entries_.pop_front()) {
      const auto sum = sums_.find(entries_.front().key);
      sum->second.value -= entries_.front().value;
      if (--sum->second.count == 0) sums_.erase(sum);
    }
  }
  uint64_t Count(Key key) const {
    const auto sum = sums_.find(key);
    return sum == sums_.end() ? 0 : sum->second.count;
  }
  double Value(Key key) const {
    const auto sum = sums_.find(key);
    return sum == sums_.end() ? 0 : sum->second.value;
  }
  uint64_t total() const { return entries_.size(); }

 private:
  struct Entry {
    Nanos at;
    Key key;
    double value;
  };
  struct Sum {
    uint64_t count = 0;
    double value = 0;
  };
  const Nanos window_;
  std::deque<Entry> entries_;
  absl::flat_hash_map<Key, Sum> sums_;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_POLICIES_RECENT_SUMS_H_
