#ifndef KVROUTE_INDEXER_STREAM_BLOCK_SIZE_WATCH_H_
#define KVROUTE_INDEXER_STREAM_BLOCK_SIZE_WATCH_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "absl/types/span.h"
#include "indexer/event/event.h"

namespace kvroute {

// Knows the block size of one stream, learned unless it is configured, and judges that of each
// stored event.
//
// A prompt may end in a block that is not full: an event with one hash, shorter than the others. No
// full block of a prompt can match it, so it is left out. Nothing on the wire marks it: a short
// block may as well mean that the size is not what we think. So a size learned from single blocks
// gives way to a longer one, until an event had several blocks of it; and short blocks that others
// continue, or of which many of one length come before any full one, are no tails.
//
// Thread safety: one thread at a time. Memory: half a KiB.
class BlockSizeWatch {
 public:
  enum class Verdict : uint8_t { kOurs, kTail, kMismatch };
  static constexpr uint32_t kTailsAlike = 256;  // before a full block: then they are none

  explicit BlockSizeWatch(uint32_t configured) : size_(configured), sure_(configured != 0) {}

  // In tokens; 0: not known yet.
  uint32_t size() const { return size_; }

  Verdict Judge(uint32_t size, std::optional<EngineHash> parent,
                absl::Span<const EngineHash> hashes) {
    const bool several = hashes.size() > 1;
    if (size_ == 0 || (size > size_ && !sure_)) size_ = size;
    if (size == size_) {
      sure_ |= several;
      full_seen_ = true;
      return Verdict::kOurs;
    }
    if (size > size_ || several) return Verdict::kMismatch;
    return JudgeShort(size, parent, hashes[0]);
  }

 private:
  Verdict JudgeShort(uint32_t size, std::optional<EngineHash> parent, EngineHash hash) {
    const auto remembered = std::min<size_t>(tails_, recent_.size());
    const bool continues =
        parent.has_value() && std::find(recent_.begin(), recent_.begin() + remembered, *parent) !=
                                  recent_.begin() + remembered;
    recent_[tails_++ % recent_.size()] = hash;
    alike_ = size == last_tail_size_ ? alike_ + 1 : 1;
    last_tail_size_ = size;
    const bool no_full_one = !full_seen_ && alike_ >= kTailsAlike;
    return continues || no_full_one ? Verdict::kMismatch : Verdict::kTail;
  }

  uint32_t size_;
  bool sure_;               // configured, or an event had several blocks of it
  bool full_seen_ = false;  // a block of this size
  uint32_t last_tail_size_ = 0;
  uint32_t alike_ = 0;  // tails of that size in a row
  uint64_t tails_ = 0;
  std::array<EngineHash, 64> recent_{};  // the last tails
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_BLOCK_SIZE_WATCH_H_
