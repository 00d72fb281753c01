#ifndef KVROUTE_INDEXER_INDEX_RUNS_RUN_H_
#define KVROUTE_INDEXER_INDEX_RUNS_RUN_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "indexer/event/event.h"
#include "indexer/index/memory/arena.h"

namespace kvroute {

// A stream's dense number inside the index: the position of its bit in holder sets.
using Slot = uint16_t;
inline constexpr uint32_t kMaxSlots = 65'535;

inline constexpr uint32_t kMaxRunBlocks = 512;
// blocks a granule: four prefix hashes, then four engine hashes
inline constexpr uint32_t kGroupBlocks = 4;
inline constexpr uint32_t kHeaderBlocks = 2;  // as many fewer are in a run's first granule

// Where a block is: the run and the position in it. At most one place holds a given prefix hash.
struct Place {
  friend bool operator==(const Place&, const Place&) = default;
  Granule run = 0;  // 0: nowhere
  uint16_t offset = 0;
};

// Blocks [begin, end) of a run.
struct BlockRange {
  uint32_t begin = 0;
  uint32_t end = 0;
  bool empty() const { return begin == end; }
};

// Which blocks of a run are not fastest in the gpu tier, for some of its holders. Immutable;
// replaced as a whole.
class RunTiers {
 public:
  struct Stretch {
    Slot slot;
    uint16_t begin;
    uint16_t end;
    Tier tier;
  };
  std::vector<Stretch> stretches;
};

// One holder of a run in 32 bits: slot, whether it holds islands behind its first hole, and the
// first hole.
class HolderEntry {
 public:
  static constexpr uint32_t kAll = 1'023;  // no hole: follows the run's length
  constexpr explicit HolderEntry(uint32_t bits) : bits_(bits) {}
  constexpr HolderEntry(Slot slot, uint32_t cutoff, bool islands)
      : bits_(uint32_t{slot} << 16 | (islands ? 1u << 15 : 0) | cutoff) {}
  constexpr uint32_t bits() const { return bits_; }
  constexpr Slot slot() const { return static_cast<Slot>(bits_ >> 16); }
  constexpr bool islands() const { return (bits_ >> 15) & 1; }
  constexpr bool all() const { return cutoff_bits() == kAll; }
  constexpr uint32_t Cutoff(uint32_t length) const { return all() ? length : cutoff_bits(); }

 private:
  constexpr uint32_t cutoff_bits() const { return bits_ & 0x3ff; }
  uint32_t bits_;
};

// The holders of a run that has more than fit in its header: up to twelve as entries, more as a bit
// for each that holds all of it and an entry for each other. The bits (no words: there are none)
// follow this header, then the entries.
struct DenseHolders {
  static constexpr uint32_t kListed = 12;  // entries that fit in a granule without bits
  std::atomic<uint16_t> words;             // of 64 slots
  std::atomic<uint16_t> entries;
  uint16_t entry_capacity;  // writer only, like the rest
  uint16_t granules;
  uint32_t full;  // bits set
  uint32_t unused;

  std::atomic<uint64_t>& word(uint32_t i) {
    return reinterpret_cast<std::atomic<uint64_t>*>(this + 1)[i];
  }
  const std::atomic<uint64_t>& word(uint32_t i) const {
    return reinterpret_cast<const std::atomic<uint64_t>*>(this + 1)[i];
  }
  std::atomic<uint32_t>& entry(uint32_t i) {
    return reinterpret_cast<std::atomic<uint32_t>*>(
        &word(words.load(std::memory_order_relaxed)))[i];
  }
  const std::atomic<uint32_t>& entry(uint32_t i, uint32_t word_count) const {
    return reinterpret_cast<const std::atomic<uint32_t>*>(&word(word_count))[i];
  }
};
static_assert(sizeof(DenseHolders) == 16);

// A stretch of one chain, stored once: its blocks in lines of four, as four prefix hashes and then
// four engine hashes; the first line has two blocks, and in place of the others' hashes what is to
// be said about the run. So who finds a run's first block to be what it looks for has read its
// header.
//
// Written under the lock of the shard that its first prefix hash belongs to, inside a RunEdit; read
// without a lock: load an even version, load everything else with acquire, compare the version.
// Block words below `length` only change together with the version. A dead run has been unlinked
// and changes no more.
struct alignas(kGranuleBytes) Run {
  static constexpr uint32_t kInlineHolders = 2;
  static constexpr uint8_t kDense = 255;  // holder_count: see `dense`
  static constexpr uint8_t kDead = 1;
  static constexpr uint8_t kPinned = 2;  // may not move: a stream's names point at it

  std::atomic<uint32_t> version;
  std::atomic<uint16_t> length;
  std::atomic<uint8_t> holder_count;
  std::atomic<uint8_t> flags;
  std::atomic<Granule> dense;
  uint16_t granules;  // this one included
  uint16_t unused;
  std::atomic<uint64_t> first_prefixes[kHeaderBlocks];  // see prefix()
  std::atomic<const RunTiers*> tiers;
  std::atomic<uint32_t> holders[kInlineHolders];
  std::atomic<uint64_t> first_engines[kHeaderBlocks];

  std::atomic<uint64_t>& prefix(uint32_t i) { return Words()[WordOf(i)]; }
  std::atomic<uint64_t>& engine(uint32_t i) { return Words()[WordOf(i) + kGroupBlocks]; }
  uint64_t Prefix(uint32_t i) const { return Words()[WordOf(i)].load(std::memory_order_acquire); }
  uint64_t Engine(uint32_t i) const {
    return Words()[WordOf(i) + kGroupBlocks].load(std::memory_order_acquire);
  }
  // Which granule of the run a block is in.
  static uint32_t LineOf(uint32_t i) { return (i + kHeaderBlocks) / kGroupBlocks; }
  void PrefetchBlock(uint32_t i) const {
    __builtin_prefetch(&Words()[size_t{LineOf(i)} * kLineWords]);
  }
  uint32_t Length() const { return length.load(std::memory_order_acquire); }
  uint32_t Capacity() const { return CapacityOf(granules); }
  bool Dead() const { return flags.load(std::memory_order_acquire) & kDead; }

  static constexpr uint32_t GranulesFor(uint32_t blocks) {
    return (blocks + kHeaderBlocks + kGroupBlocks - 1) / kGroupBlocks;
  }
  static constexpr uint32_t CapacityOf(uint32_t granules) {
    return granules * kGroupBlocks - kHeaderBlocks;
  }

 private:
  static constexpr size_t kLineWords = kGranuleBytes / sizeof(uint64_t);

  static size_t WordOf(uint32_t i) {
    const uint32_t at = i + kHeaderBlocks;
    return size_t{at / kGroupBlocks} * kLineWords + at % kGroupBlocks;
  }
  std::atomic<uint64_t>* Words() { return reinterpret_cast<std::atomic<uint64_t>*>(this); }
  const std::atomic<uint64_t>* Words() const {
    return reinterpret_cast<const std::atomic<uint64_t>*>(this);
  }
};
static_assert(sizeof(Run) == kGranuleBytes);
static_assert(offsetof(Run, first_prefixes) == kHeaderBlocks * sizeof(uint64_t));
static_assert(offsetof(Run, first_engines) == (kGroupBlocks + kHeaderBlocks) * sizeof(uint64_t));

// Keeps a run's version odd, so that readers wait or look again.
class RunEdit {
 public:
  explicit RunEdit(Run* run) : run_(run), version_(run->version.load(std::memory_order_relaxed)) {
    run_->version.store(version_ + 1, std::memory_order_relaxed);
  }
  ~RunEdit() { run_->version.store(version_ + 2, std::memory_order_release); }
  RunEdit(const RunEdit&) = delete;
  RunEdit& operator=(const RunEdit&) = delete;

 private:
  Run* const run_;
  const uint32_t version_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_RUNS_RUN_H_
