#ifndef KVROUTE_INDEXER_STREAM_GROUP_KINDS_H_
#define KVROUTE_INDEXER_STREAM_GROUP_KINDS_H_

#include <cstdint>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "indexer/event/event.h"

namespace kvroute {

// Which of a stream's KV-cache groups are indexed: a group index means the kind that it was stored
// with, because a removal names no kind. One that was ever stored with full attention may hold
// blocks of that, whatever it is called later.
//
// Thread safety: one thread at a time. Errors: none; at kMaxGroupsPerStream another group's kind is
// not remembered, and its removals are looked up.
class GroupKinds {
 public:
  // Whether the event is of a group that is not indexed.
  bool IsOther(const Event& event) {
    // Mostly it is of the last event's group, which has been one of full attention.
    const bool known = last_full_ && event.group_idx == last_group_;
    return known ? !event.spec_kind.empty() && !IsFullAttention(event) : Judge(event);
  }

 private:
  bool Judge(const Event& event);

  absl::flat_hash_map<uint32_t, bool> full_attention_;
  // The last event's group, if it has an entry, and that: mostly the next event's, too, and a look
  // into the map takes 8 ns.
  std::optional<uint32_t> last_group_;
  bool last_full_ = false;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_GROUP_KINDS_H_
