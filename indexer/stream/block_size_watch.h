#ifndef KVROUTE_INDEXER_STREAM_BLOCK_SIZE_WATCH_H_
#define KVROUTE_INDEXER_STREAM_BLOCK_SIZE_WATCH_H_

#include <array>
#include <cstdint>
#include <optional>

#include "absl/types/span.h"
#include "indexer/event/event.h"

namespace kvroute {

// Knows the block size of one stream, learned unless it is configured, and judges that of each
// stored event.
//
// A stream has one size: that of its gpu blocks, in which prompts are hashed. Other tiers, and
// other groups, may have sizes of their own: offload connectors store chunks of several blocks.
// Whose events teach the size is therefore one tier and group; the gpu outranks the others, which
// teach only as long as nothing of the gpu does.
//
// A prompt may end in a block that is not full, its tail: an event with one hash, shorter than the
// others, whose parent is a full block, another tail of the same block, or was never announced.
// Nothing on the wire marks it; it matches no full block of a prompt, so it is left out, and it
// says nothing about the size. Surely a block size is that of several blocks in one event. The size
// of one block alone is taken on trial where it begins a prompt, and gives way to a longer one.
//
// Tails of one block stay shorter than it together. Short blocks that continue one another beyond
// that, or of which many of one length begin a prompt before any full block came, are no tails: the
// size is not what it was said to be.
//
// Thread safety: one thread at a time. Memory: 1.5 KiB.
class BlockSizeWatch {
 public:
  enum class Verdict : uint8_t {
    kOurs,
    kTail,
    kPieces,     // of another tier or group, whose blocks are as long as several of ours
    kUndecided,  // no size is known, and this event does not teach one
    kMismatch,
  };
  static constexpr uint32_t kTailsAlike = 256;  // before a full block: then they are none

  explicit BlockSizeWatch(uint32_t configured)
      : size_(configured), ground_(configured != 0 ? Ground::kConfigured : Ground::kNone) {}

  // In tokens; 0: not known yet.
  uint32_t size() const { return size_; }
  // Whether the size that was known before the event last judged was wrong, and what was stored by
  // it with it: more than tails.
  bool retracted() const { return retracted_; }

  // Of a stored event whose blocks have `size` tokens each.
  Verdict Judge(const Event& event, uint32_t size);

 private:
  enum class Ground : uint8_t { kNone, kOneBlock, kSeveralBlocks, kConfigured };
  struct Source {
    Tier tier;
    std::optional<uint32_t> group;
    bool operator==(const Source&) const = default;
  };
  struct Tail {
    EngineHash hash;
    uint32_t span = 0;  // from the last full block on, as far as the tails before are known
  };

  bool Teaches(const Event& event, uint32_t size, const Source& source) const;
  Verdict JudgeTail(const Event& event, uint32_t size);
  static Verdict JudgeOther(const Event& event, uint32_t size, uint32_t ours);

  uint32_t size_;
  Ground ground_;
  std::optional<Source> teacher_;  // of a configured size: the first of the gpu
  bool retracted_ = false;
  bool full_seen_ = false;  // a block of this size
  uint32_t last_root_size_ = 0;
  uint32_t roots_alike_ = 0;  // short blocks of that size in a row that begin a prompt
  uint64_t tails_ = 0;
  std::array<Tail, 64> recent_{};  // the last tails
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_BLOCK_SIZE_WATCH_H_
