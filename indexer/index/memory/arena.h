#ifndef KVROUTE_INDEXER_INDEX_MEMORY_ARENA_H_
#define KVROUTE_INDEXER_INDEX_MEMORY_ARENA_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "indexer/index/memory/spin_lock.h"

namespace kvroute {

// An address in an arena, counted in granules of 64 bytes (one cache line). 0 is no address.
using Granule = uint32_t;
inline constexpr size_t kGranuleBytes = 64;

// The memory of one index: runs, sets of holders and tables, in one reservation of address space on
// huge pages, so that a 32-bit number can stand for any line of it and a dependent access rarely
// misses the TLB as well.
//
// Free memory is a set of extents (consecutive free granules), kept in bins by length: exact below
// 256 granules, four to a power of two above. An extent is merged with its free neighbours at once.
// Its list links lie in the free memory itself; one bit a granule, outside, marks the first and the
// last granule of every free extent. An allocation may be given back in parts, and may be extended
// into free memory behind it. Memory is returned to the system by ReturnFree alone. Under
// AddressSanitizer free memory is poisoned, so that whoever still uses it is caught.
//
// Thread safety: all methods from any thread.
// Errors: exhausting the reservation ends the process (256 GiB, or what the system lets us
// reserve). Whoever may be made to take so much asks first (UsedBytes, CapacityBytes).
class Arena {
 public:
  // A free extent that is shorter hardly fits anything.
  static constexpr uint32_t kUsefulGranules = 8;

  Arena();
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Not cleared.
  Granule Allocate(uint32_t granules);
  void Free(Granule start, uint32_t granules);
  // For callers that can put the rest elsewhere. Allocates `*granules` if that is possible without
  // the arena growing; else the longest free extent of at least `least`, if there is one; else it
  // grows. `*granules` becomes the number that was allocated.
  Granule AllocateUpTo(uint32_t* granules, uint32_t least);
  // Makes the allocation at `start` longer by `extra`. False, and nothing changed, when the memory
  // behind it is in use, or when the arena would have to grow for it although it has free extents
  // of kUsefulGranules or more.
  bool Extend(Granule start, uint32_t granules, uint32_t extra) {
    return ExtendBetween(start, granules, extra, extra) == extra;
  }
  // Makes it longer by as much of `extra` as is free behind it, and returns how much that was.
  uint32_t ExtendUpTo(Granule start, uint32_t granules, uint32_t extra) {
    return ExtendBetween(start, granules, 1, extra);
  }

  template <typename T>
  T* At(Granule granule) const {
    return reinterpret_cast<T*>(base_ + size_t{granule} * kGranuleBytes);
  }
  Granule Of(const void* address) const {
    return static_cast<Granule>(
        static_cast<size_t>(static_cast<const std::byte*>(address) - base_) / kGranuleBytes);
  }

  // Whether so much can be allocated without the arena growing.
  bool HasRoom(uint32_t granules) const;

  // Memory ever handed out, the free extents inside it included.
  uint64_t ReservedBytes() const;
  // What is handed out now; without a lock.
  uint64_t UsedBytes() const {
    return used_.load(std::memory_order_relaxed) * uint64_t{kGranuleBytes};
  }
  // The reservation.
  uint64_t CapacityBytes() const { return uint64_t{limit_} * kGranuleBytes; }

  // Returns the memory of long free extents to the system, which makes it zero again when it is
  // next used. Takes each out of the free ones meanwhile, so that nobody waits. Returns the bytes.
  uint64_t ReturnFree();

  // For one thread, ArenaAhead: takes the next huge page from the system that the arena will soon
  // grow into, if it is near. From the first call on the arena wakes it when one is.
  enum class Ahead : uint8_t { kTaken, kEnough, kImpossible };
  Ahead TakeAhead();
  uint32_t AheadWakes() const { return ahead_wakes_.load(std::memory_order_acquire); }
  void WaitForAheadWake(uint32_t wakes) const { ahead_wakes_.wait(wakes); }
  void WakeAhead() {
    ahead_wakes_.fetch_add(1, std::memory_order_release);
    ahead_wakes_.notify_one();
  }
  // Whether memory before `end` has been taken from the system, as far as is known, or nobody takes
  // any ahead.
  bool IsTaken(Granule end) const { return end <= taken_.load(std::memory_order_relaxed); }

  // So much is ahead at least, and one part of so many of what the arena has.
  static constexpr uint32_t kLeastAheadGranules = (256 << 10) / kGranuleBytes;
  static constexpr uint32_t kAheadPart = 256;

 private:
  // An extent is returned from so many on: huge pages in it are whole.
  static constexpr uint32_t kReturnedGranules = 4 * ((2 << 20) / kGranuleBytes);
  static constexpr uint32_t kExactBins = 256;
  static constexpr Granule kNever = ~Granule{0};
  static constexpr uint32_t kBins = kExactBins + 24 * 4;  // above: four a power of two
  struct FreeNode {
    uint32_t granules;
    Granule previous;
    Granule next;
  };

  static uint32_t BinOf(uint32_t granules);
  uint32_t FreeGranules(Granule start) const;
  uint32_t& LastWord(Granule start, uint32_t granules) const;
  bool Boundary(Granule granule) const { return (boundary_[granule / 64] >> (granule % 64)) & 1; }
  void FlipBoundary(Granule granule) { boundary_[granule / 64] ^= uint64_t{1} << (granule % 64); }
  void Link(Granule start, uint32_t granules) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  void Unlink(Granule start) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  Granule FindShorter(uint32_t granules, uint32_t least) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  // Makes it longer by at least `least` and at most `extra`, or not at all; returns by how much.
  uint32_t ExtendBetween(Granule start, uint32_t granules, uint32_t least, uint32_t extra);
  uint32_t ExtendLocked(Granule start, uint32_t granules, uint32_t least, uint32_t extra)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  // Takes the first `granules` of the free extent at `found`, or new ones if that is 0.
  Granule Take(Granule found, uint32_t granules) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  // Makes what was handed out longer by so much at its end.
  void Grow(uint32_t granules) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  // After the lock was released.
  void WakeAheadIfNear() {
    if (high_now_.load(std::memory_order_relaxed) < wake_at_.load(std::memory_order_relaxed))
      return;
    wake_at_.store(kNever, std::memory_order_relaxed);
    WakeAhead();
  }
  uint32_t AheadGranules() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  Granule FindFree(uint32_t granules) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_);
  void CountUsed(int64_t granules) ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_) {
    used_.store(used_.load(std::memory_order_relaxed) + static_cast<uint64_t>(granules),
                std::memory_order_relaxed);
  }
  uint64_t ReturnPages(Granule start, uint32_t granules) const;

  void* reservation_ = nullptr;
  uint64_t reserved_ = 0;         // bytes
  std::byte* base_ = nullptr;     // the reservation from its first huge page on
  uint64_t* boundary_ = nullptr;  // a bit a granule: first and last granule of every free extent
  uint32_t limit_ = 0;            // granules reserved
  mutable SpinLock lock_;
  Granule top_ ABSL_GUARDED_BY(lock_) = 1;  // never used from here on
  Granule high_ ABSL_GUARDED_BY(lock_) = 1;
  std::atomic<uint64_t> used_{0};         // granules; written under the lock
  std::atomic<Granule> high_now_{1};      // high_, for those who do not have the lock
  std::atomic<Granule> taken_{kNever};    // from the system, up to here; written under the lock
  std::atomic<Granule> wake_at_{kNever};  // when high_ is here: ArenaAhead
  std::atomic<uint32_t> ahead_wakes_{0};
  std::array<Granule, kBins> bins_ ABSL_GUARDED_BY(lock_){};
  std::array<uint64_t, (kBins + 63) / 64> used_bins_ ABSL_GUARDED_BY(lock_){};
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_INDEX_MEMORY_ARENA_H_
