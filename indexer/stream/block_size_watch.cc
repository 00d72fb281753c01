#include "indexer/stream/block_size_watch.h"

#include <algorithm>

namespace kvroute {

BlockSizeWatch::Verdict BlockSizeWatch::Judge(const Event& event, uint32_t size) {
  retracted_ = false;
  const Source source{event.tier, event.group_idx};
  if (Teaches(event, size, source)) {
    const bool tails_only = teacher_ == source && size > size_;
    retracted_ = size_ != 0 && size != size_ && !tails_only;
    size_ = size;
    ground_ = event.block_hashes.size() > 1 ? Ground::kSeveralBlocks : Ground::kOneBlock;
    teacher_ = source;
    full_seen_ = true;
    return Verdict::kOurs;
  }
  if (size_ == 0) return Verdict::kUndecided;
  if (!teacher_ && event.tier == Tier::kGpu) teacher_ = source;
  if (source != teacher_) return JudgeOther(event, size, size_);
  if (size == size_) {
    full_seen_ = true;
    return Verdict::kOurs;
  }
  if (size > size_ || event.block_hashes.size() > 1) return Verdict::kMismatch;
  return JudgeTail(event, size);
}

bool BlockSizeWatch::Teaches(const Event& event, uint32_t size, const Source& source) const {
  if (ground_ == Ground::kConfigured) return false;
  const bool several = event.block_hashes.size() > 1;
  if (ground_ == Ground::kNone) return several || !event.parent.has_value();
  if (source == *teacher_) {
    if (several) return ground_ == Ground::kOneBlock;
    return ground_ == Ground::kOneBlock && size > size_;
  }
  const bool outranks = source.tier == Tier::kGpu && teacher_->tier != Tier::kGpu;
  return outranks && (several || !event.parent.has_value());
}

BlockSizeWatch::Verdict BlockSizeWatch::JudgeOther(const Event& event, uint32_t size,
                                                   uint32_t ours) {
  if (size == ours) return Verdict::kOurs;
  if (size > ours) return Verdict::kPieces;
  return event.block_hashes.size() > 1 ? Verdict::kMismatch : Verdict::kTail;
}

BlockSizeWatch::Verdict BlockSizeWatch::JudgeTail(const Event& event, uint32_t size) {
  uint32_t span = size;
  if (event.parent) {
    const auto before = std::find_if(recent_.begin(), recent_.end(), [&](const Tail& tail) {
      return tail.span != 0 && tail.hash == *event.parent;
    });
    if (before != recent_.end()) span += before->span;
  } else {
    roots_alike_ = size == last_root_size_ ? roots_alike_ + 1 : 1;
    last_root_size_ = size;
  }
  recent_[tails_++ % recent_.size()] = {event.block_hashes[0], span};
  const bool no_full_one = !event.parent && !full_seen_ && roots_alike_ >= kTailsAlike;
  return span >= size_ || no_full_one ? Verdict::kMismatch : Verdict::kTail;
}

}  // namespace kvroute
