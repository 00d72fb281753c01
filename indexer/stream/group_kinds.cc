#include "indexer/stream/group_kinds.h"

#include "indexer/base/limits.h"

namespace kvroute {

bool GroupKinds::Judge(const Event& event) {
  const bool full = IsFullAttention(event);
  if (!event.group_idx.has_value()) return !full;
  const uint32_t group = *event.group_idx;
  const bool names_kind = !event.spec_kind.empty();
  if (last_group_ == group) {
    if (!names_kind) return !last_full_;
    if (last_full_ || !full) return !full;
  }
  const auto known = full_attention_.find(group);
  if (known == full_attention_.end()) {
    const bool room = full_attention_.size() < limits::kMaxGroupsPerStream;
    if (names_kind && room) {
      full_attention_.emplace(group, full);
      last_group_ = group;
      last_full_ = full;
    }
    return !full && (room || event.type != EventType::kRemoved);
  }
  if (names_kind) known->second |= full;
  last_group_ = group;
  last_full_ = known->second;
  return names_kind ? !full : !known->second;
}

}  // namespace kvroute
