#ifndef KVROUTE_INDEXER_INDEX_RUNS_RUN_H_
#define KVROUTE_INDEXER_INDEX_RUNS_RUN_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "indexer/index/memory/arena.h"
#include "indexer/index/runs/place.h"

namespace kvroute {

// Blocks in a cache line of a run: four prefix hashes, then their four engine hashes.
inline constexpr uint32_t kLineBlocks = 4;
// A run's first line has so many blocks less: the header is in their place.
inline constexpr uint32_t kHeaderBlocks = 2;

// One holder of a run in 32 bits: its slot, its first hole (the first block of the run that it does
// not cover), and whether it covers islands (blocks behind its first hole).
class HolderEntry {
 public:
  static constexpr uint32_t kAll = 1'023;  // no hole: it covers the whole run, however long
  constexpr explicit HolderEntry(uint32_t bits) : bits_(bits) {}
  constexpr HolderEntry(Slot slot, uint32_t first_hole, bool islands)
      : bits_(uint32_t{slot} << 16 | (islands ? 1u << 15 : 0) | first_hole) {}
  constexpr uint32_t bits() const { return bits_; }
  constexpr Slot slot() const { return static_cast<Slot>(bits_ >> 16); }
  constexpr bool islands() const { return (bits_ >> 15) & 1; }
  constexpr bool all() const { return first_hole_bits() == kAll; }
  // In a run of that length.
  constexpr uint32_t FirstHole(uint32_t length) const { return all() ? length : first_hole_bits(); }

 private:
  constexpr uint32_t first_hole_bits() const { return bits_ & 0x3ff; }
  uint32_t bits_;
};

// The holders of a run that has more than fit in its header. Up to twelve are entries; if there are
// more, those that cover the whole run have a bit each, by slot, and the others an entry each. In
// memory the bits follow this struct (no words: there are none), and the entries follow the bits.
struct DenseHolders {
  static constexpr uint32_t kListed = 12;  // entries that fit in a granule without bits
  std::atomic<uint16_t> words;             // of 64 bits
  std::atomic<uint16_t> entries;
  uint16_t entry_capacity;  // this and what follows: only for the writer
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

// Consecutive blocks of one chain, stored once, in lines of four blocks: four prefix hashes and
// then four engine hashes. The first line has two blocks, and the header in place of the others'
// hashes; so whoever has compared a run's first block with the one it looks for has also fetched
// the header.
//
// Written under the lock of the shard that its first prefix hash belongs to. Read without a lock,
// under an EpochPin: load an even version; load everything else, each with acquire; load the
// version again. If it is the same, all that was read was true at one moment.
//
// Invariants, each with why it holds and the test that fails without it:
//
// R1. While anything that a reader goes by changes, the version is odd, and afterwards it is one
//     that was not there before within a look (RunEdit). A version comes again after 2^31 edits,
//     which take a minute of nothing else: a reader would have to stop for just so many.
//     Test: RunTest.AnEditIsOddWhileItLastsAndNewAfterwards.
// R2. A reader that has read something new finds another version at the end. The writer makes the
//     version odd before it stores anything else with release, so whoever reads that with acquire
//     has the odd version before it, too; and no later load is done before an acquire. That is all
//     that is needed on ARM; on x86 every load is an acquire and every store a release.
//     Test: RunTest.WhatIsReadUnderOneVersionBelongsTogether.
// R3. The hashes of blocks below `length` never change. Those from there on may be written without
//     an edit: a reader that still goes by a longer length has a version from before the edit that
//     made the run shorter, and finds it changed (R2).
//     Test: RunStoreTest.ARunThatBecomesShorterHasANewVersion.
// R4. A dead run changes no more and is not reused while anybody may look at it. It was taken out
//     of the tables before it was retired (epoch.h). A reader that finds it dead looks for the head
//     again, and finds the run that took its place, or none.
//     Test: RunStoreTest.ADeadRunSaysSo.
struct alignas(kGranuleBytes) Run {
  static constexpr uint32_t kInlineHolders = 2;
  static constexpr uint8_t kDense = 255;  // as holder_count: they are in `dense`
  static constexpr uint8_t kDead = 1;
  static constexpr uint8_t kFixed = 2;  // may not move: some stream's columns refer to it
  // Something was stored behind it, or again: a stream that has to give something up spares it
  // once. Readers do not look at it.
  static constexpr uint8_t kTouched = 4;
  // It is among its shard's GrowingRuns. Readers do not look at it.
  static constexpr uint8_t kGrowing = 8;

  std::atomic<uint32_t> version;
  std::atomic<uint16_t> length;
  std::atomic<uint8_t> holder_count;
  std::atomic<uint8_t> flags;
  std::atomic<Granule> dense;
  uint16_t granules;        // the first one included; for the writer, like the next
  uint16_t island_holders;  // that have islands
  std::atomic<uint64_t> first_prefixes[kHeaderBlocks];  // see prefix()
  std::atomic<Granule> tiers;                           // see Tiers; 0: all of it in the gpu tier
  uint16_t uncovered;                                   // blocks that nobody covers; for the writer
  uint16_t unused;
  std::atomic<uint32_t> holders[kInlineHolders];
  std::atomic<uint64_t> first_engines[kHeaderBlocks];

  // The hashes of the block at position `i`.
  std::atomic<uint64_t>& prefix(uint32_t i) { return Words()[WordOf(i)]; }
  std::atomic<uint64_t>& engine(uint32_t i) { return Words()[WordOf(i) + kLineBlocks]; }
  uint64_t Prefix(uint32_t i) const { return Words()[WordOf(i)].load(std::memory_order_acquire); }
  uint64_t Engine(uint32_t i) const {
    return Words()[WordOf(i) + kLineBlocks].load(std::memory_order_acquire);
  }
  // The prefix hashes of the blocks from `i` to the end of its line.
  const std::atomic<uint64_t>* PrefixesFrom(uint32_t i) const { return &Words()[WordOf(i)]; }
  static uint32_t EndOfLine(uint32_t i) { return (LineOf(i) + 1) * kLineBlocks - kHeaderBlocks; }
  // Which granule of the run a block is in.
  static uint32_t LineOf(uint32_t i) { return (i + kHeaderBlocks) / kLineBlocks; }
  void PrefetchBlock(uint32_t i) const {
    __builtin_prefetch(&Words()[size_t{LineOf(i)} * kLineWords]);
  }
  uint32_t Length() const { return length.load(std::memory_order_acquire); }
  uint32_t Capacity() const { return CapacityOf(granules); }
  bool Dead() const { return flags.load(std::memory_order_acquire) & kDead; }
  // Under the run's lock, like all that changes the flags.
  void Touch() {
    const uint8_t now = flags.load(std::memory_order_relaxed);
    if ((now & kTouched) == 0) flags.store(now | kTouched, std::memory_order_release);
  }

  static constexpr uint32_t GranulesFor(uint32_t blocks) {
    return (blocks + kHeaderBlocks + kLineBlocks - 1) / kLineBlocks;
  }
  static constexpr uint32_t CapacityOf(uint32_t granules) {
    return granules * kLineBlocks - kHeaderBlocks;
  }

 private:
  static constexpr size_t kLineWords = kGranuleBytes / sizeof(uint64_t);

  static size_t WordOf(uint32_t i) {
    const uint32_t at = i + kHeaderBlocks;
    return size_t{at / kLineBlocks} * kLineWords + at % kLineBlocks;
  }
  std::atomic<uint64_t>* Words() { return reinterpret_cast<std::atomic<uint64_t>*>(this); }
  const std::atomic<uint64_t>* Words() const {
    return reinterpret_cast<const std::atomic<uint64_t>*>(this);
  }
};
static_assert(sizeof(Run) == kGranuleBytes);
static_assert(offsetof(Run, first_prefixes) == kHeaderBlocks * sizeof(uint64_t));
static_assert(offsetof(Run, first_engines) == (kLineBlocks + kHeaderBlocks) * sizeof(uint64_t));

// Makes a run's version odd and, at its end, even again and new: meanwhile readers wait, and those
// that had begun look again. Everything within that readers go by is stored with release (R2).
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
