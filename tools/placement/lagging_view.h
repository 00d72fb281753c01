#ifndef KVROUTE_TOOLS_PLACEMENT_LAGGING_VIEW_H_
#define KVROUTE_TOOLS_PLACEMENT_LAGGING_VIEW_H_

#include <cstdint>
#include <deque>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "indexer/base/clock.h"
#include "tools/placement/placement_policy.h"

namespace kvroute {

// What pools held some time ago: an index whose announcements are under way for `lag`.
//
// Thread safety: one thread at a time. Ownership: `next` (nullptr: nobody) hears what has arrived,
// and must outlive it.
class LaggingView : public PoolAnnouncements {
 public:
  LaggingView(size_t targets, Nanos lag, PoolAnnouncements* next)
      : lag_(lag), next_(next), copies_(targets) {}

  // What is announced from here on is announced at that moment.
  void SetNow(Nanos now) { now_ = now; }
  void Stored(size_t target, const BlockKey* parent, absl::Span<const BlockKey> blocks) override;
  void Removed(size_t target, BlockKey block) override;

  // Takes in what has arrived by now.
  void Deliver();
  uint32_t CountResident(size_t target, absl::Span<const BlockKey> chain) const;

 private:
  struct Announcement {
    Nanos due;
    size_t target;
    bool removed;
    bool has_parent;
    BlockKey parent;
    std::vector<BlockKey> blocks;
  };
  void Apply(const Announcement& announcement);

  const Nanos lag_;
  PoolAnnouncements* const next_;
  Nanos now_{0};
  std::deque<Announcement> under_way_;
  std::vector<absl::flat_hash_map<BlockKey, uint32_t>> copies_;  // by target
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_LAGGING_VIEW_H_
