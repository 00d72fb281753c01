#include "tools/placement/lagging_view.h"

namespace kvroute {

void LaggingView::Stored(size_t target, const BlockKey* parent, absl::Span<const BlockKey> blocks) {
  under_way_.push_back({.due = now_ + lag_,
                        .target = target,
                        .removed = false,
                        .has_parent = parent != nullptr,
                        .parent = parent != nullptr ? *parent : BlockKey(),
                        .blocks = {blocks.begin(), blocks.end()}});
}

void LaggingView::Removed(size_t target, BlockKey block) {
  under_way_.push_back({.due = now_ + lag_,
                        .target = target,
                        .removed = true,
                        .has_parent = false,
                        .parent = BlockKey(),
                        .blocks = {block}});
}

void LaggingView::Deliver() {
  for (; !under_way_.empty() && under_way_.front().due <= now_; under_way_.pop_front()) {
    Apply(under_way_.front());
  }
}

void LaggingView::Apply(const Announcement& announcement) {
  auto& copies = copies_[announcement.target];
  if (announcement.removed) {
    const auto copy = copies.find(announcement.blocks[0]);
    if (copy != copies.end() && --copy->second == 0) copies.erase(copy);
    if (next_ != nullptr) next_->Removed(announcement.target, announcement.blocks[0]);
    return;
  }
  for (const BlockKey block : announcement.blocks) ++copies[block];
  if (next_ != nullptr) {
    next_->Stored(announcement.target, announcement.has_parent ? &announcement.parent : nullptr,
                  announcement.blocks);
  }
}

uint32_t LaggingView::CountResident(size_t target, absl::Span<const BlockKey> chain) const {
  const auto& copies = copies_[target];
  uint32_t count = 0;
  while (count < chain.size() && copies.contains(chain[count])) ++count;
  return count;
}

}  // namespace kvroute
