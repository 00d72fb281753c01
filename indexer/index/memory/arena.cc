#include "indexer/index/memory/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>
#include <vector>

#include "indexer/base/check.h"
#include "indexer/index/memory/poison.h"

namespace kvroute {
namespace {

constexpr uint64_t kMostBytes = uint64_t{256} << 30;
constexpr uint64_t kLeastBytes = uint64_t{1} << 30;
constexpr uint64_t kHugePage = uint64_t{2} << 20;
constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE, which old headers do not have

void* Reserve(uint64_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

}  // namespace

Arena::Arena() {
  reserved_ = kMostBytes;
  while ((reservation_ = Reserve(reserved_)) == nullptr && reserved_ > kLeastBytes) reserved_ /= 2;
  KVROUTE_CHECK(reservation_ != nullptr);
  const auto address = reinterpret_cast<uintptr_t>(reservation_);
  const uint64_t skipped = (kHugePage - address % kHugePage) % kHugePage;
  base_ = static_cast<std::byte*>(reservation_) + skipped;
  limit_ = static_cast<uint32_t>((reserved_ - skipped) / kGranuleBytes - 1);
  madvise(base_, size_t{limit_} * kGranuleBytes,
          MADV_HUGEPAGE);  // advice: right without, only slower
  boundary_ = static_cast<uint64_t*>(Reserve(size_t{limit_} / 8 + 8));
  KVROUTE_CHECK(boundary_ != nullptr);
}

Arena::~Arena() {
  Unpoison(At<std::byte>(0),
           size_t{high_} * kGranuleBytes);  // what is mapped here next is not ours
  munmap(boundary_, size_t{limit_} / 8 + 8);
  munmap(reservation_, reserved_);
}

uint32_t Arena::BinOf(uint32_t granules) {
  if (granules < kExactBins) return granules;
  const uint32_t log = static_cast<uint32_t>(std::bit_width(granules)) - 1;  // >= 8
  const uint32_t quarter = (granules >> (log - 2)) & 3;
  return kExactBins + (log - 8) * 4 + quarter;
}

uint32_t& Arena::LastWord(Granule start, uint32_t granules) const {
  return At<uint32_t>(start + granules - 1)[kGranuleBytes / sizeof(uint32_t) - 1];
}

KVROUTE_READS_POISONED void Arena::Link(Granule start, uint32_t granules) {
  const uint32_t bin = BinOf(granules);
  FreeNode* node = At<FreeNode>(start);
  *node = FreeNode{granules, 0, bins_[bin]};
  if (node->next != 0) At<FreeNode>(node->next)->previous = start;
  bins_[bin] = start;
  used_bins_[bin / 64] |= uint64_t{1} << (bin % 64);
  LastWord(start, granules) = granules;
  FlipBoundary(start);
  if (granules > 1) FlipBoundary(start + granules - 1);
}

KVROUTE_READS_POISONED void Arena::Unlink(Granule start) {
  const FreeNode node = *At<FreeNode>(start);
  const uint32_t bin = BinOf(node.granules);
  if (node.next != 0) At<FreeNode>(node.next)->previous = node.previous;
  if (node.previous != 0) {
    At<FreeNode>(node.previous)->next = node.next;
  } else {
    bins_[bin] = node.next;
    if (node.next == 0) used_bins_[bin / 64] &= ~(uint64_t{1} << (bin % 64));
  }
  FlipBoundary(start);
  if (node.granules > 1) FlipBoundary(start + node.granules - 1);
}

// The first extent that is long enough, in the smallest bin that has one; 0: none.
KVROUTE_READS_POISONED Granule Arena::FindFree(uint32_t granules) const {
  uint32_t bin = BinOf(granules);
  if (bin >= kExactBins) {
    for (Granule free = bins_[bin]; free != 0; free = At<FreeNode>(free)->next) {
      if (At<FreeNode>(free)->granules >= granules) return free;
    }
    ++bin;
  }
  for (uint32_t word = bin / 64; word < used_bins_.size(); ++word) {
    uint64_t candidates = used_bins_[word];
    if (word == bin / 64) candidates &= ~uint64_t{0} << (bin % 64);
    if (candidates != 0) {
      return bins_[word * 64 + static_cast<uint32_t>(std::countr_zero(candidates))];
    }
  }
  return 0;
}

// The longest extent shorter than that, of `least` or more; 0: none. Only among those that have
// bins of their own.
Granule Arena::FindShorter(uint32_t granules, uint32_t least) const {
  const uint32_t limit = std::min(granules, kExactBins);
  for (uint32_t word = (limit + 63) / 64; word-- > 0;) {
    uint64_t candidates = used_bins_[word];
    if (word == limit / 64) candidates &= (uint64_t{1} << (limit % 64)) - 1;
    if (candidates == 0) continue;
    const uint32_t bin = word * 64 + static_cast<uint32_t>(std::bit_width(candidates)) - 1;
    return bin < least ? 0 : bins_[bin];
  }
  return 0;
}

KVROUTE_READS_POISONED uint32_t Arena::FreeGranules(Granule start) const {
  return At<FreeNode>(start)->granules;
}

KVROUTE_READS_POISONED Granule Arena::Take(Granule found, uint32_t granules) {
  CountUsed(granules);
  if (found != 0) {
    const uint32_t have = At<FreeNode>(found)->granules;
    Unlink(found);
    if (have > granules) Link(found + granules, have - granules);
    Unpoison(At<std::byte>(found), size_t{granules} * kGranuleBytes);
    return found;
  }
  const Granule start = top_;
  Grow(granules);
  Unpoison(At<std::byte>(start), size_t{granules} * kGranuleBytes);
  return start;
}

void Arena::Grow(uint32_t granules) {
  KVROUTE_CHECK(granules < limit_ - top_);
  top_ += granules;
  if (top_ <= high_) return;
  high_ = top_;
  high_now_.store(high_, std::memory_order_relaxed);
}

Granule Arena::Allocate(uint32_t granules) {
  Granule start = 0;
  {
    SpinLockHolder lock(&lock_);
    start = Take(FindFree(granules), granules);
  }
  WakeAheadIfNear();
  return start;
}

KVROUTE_READS_POISONED Granule Arena::AllocateUpTo(uint32_t* granules, uint32_t least) {
  Granule start = 0;
  {
    SpinLockHolder lock(&lock_);
    Granule found = FindFree(*granules);
    if (found == 0 && *granules > high_ - top_) {
      found = FindShorter(*granules, least);
      if (found != 0) *granules = At<FreeNode>(found)->granules;
    }
    start = Take(found, *granules);
  }
  WakeAheadIfNear();
  return start;
}

KVROUTE_READS_POISONED void Arena::Free(Granule start, uint32_t granules) {
  SpinLockHolder lock(&lock_);
  CountUsed(-int64_t{granules});
  Poison(At<std::byte>(start), size_t{granules} * kGranuleBytes);
  if (start + granules < top_ && Boundary(start + granules)) {
    const Granule behind = start + granules;
    granules += At<FreeNode>(behind)->granules;
    Unlink(behind);
  }
  if (Boundary(start - 1)) {
    const uint32_t before = LastWord(start - 1, 1);
    start -= before;
    granules += before;
    Unlink(start);
  }
  if (start + granules == top_) {
    top_ = start;
  } else {
    Link(start, granules);
  }
}

uint32_t Arena::ExtendBetween(Granule start, uint32_t granules, uint32_t least, uint32_t extra) {
  uint32_t longer = 0;
  {
    SpinLockHolder lock(&lock_);
    longer = ExtendLocked(start, granules, least, extra);
  }
  WakeAheadIfNear();
  return longer;
}

KVROUTE_READS_POISONED uint32_t Arena::ExtendLocked(Granule start, uint32_t granules,
                                                    uint32_t least, uint32_t extra) {
  const Granule end = start + granules;
  if (end == top_) {
    if (extra > high_ - top_ && FindFree(kUsefulGranules) != 0) {
      extra = high_ - top_;
      if (extra < least) return 0;
    }
    CountUsed(extra);
    Grow(extra);
    Unpoison(At<std::byte>(end), size_t{extra} * kGranuleBytes);
    return extra;
  }
  if (!Boundary(end)) return 0;
  const uint32_t have = At<FreeNode>(end)->granules;
  if (have < least) return 0;
  Unlink(end);
  const uint32_t taken = std::min(have, extra);
  CountUsed(taken);
  if (taken < have) Link(end + taken, have - taken);
  Unpoison(At<std::byte>(end), size_t{taken} * kGranuleBytes);
  return taken;
}

bool Arena::HasRoom(uint32_t granules) const {
  SpinLockHolder lock(&lock_);
  return granules <= high_ - top_ || FindFree(granules) != 0;
}

uint64_t Arena::ReservedBytes() const {
  SpinLockHolder lock(&lock_);
  return uint64_t{high_} * kGranuleBytes;
}

uint64_t Arena::ReturnFree() {
  constexpr size_t kMost = 64;  // at a time
  uint64_t returned = 0;
  std::vector<std::pair<Granule, uint32_t>> taken;
  taken.reserve(kMost);
  {
    SpinLockHolder lock(&lock_);
    if (const uint32_t behind = high_ - top_; behind >= kReturnedGranules) {
      taken.emplace_back(Take(0, behind), behind);
      CountUsed(-int64_t{behind});  // nobody uses it
    }
    for (uint32_t bin = BinOf(kReturnedGranules); bin < kBins; ++bin) {
      while (bins_[bin] != 0 && taken.size() < kMost) {
        const uint32_t granules = FreeGranules(bins_[bin]);
        taken.emplace_back(Take(bins_[bin], granules), granules);
        CountUsed(-int64_t{granules});
      }
    }
  }
  for (const auto& [start, granules] : taken) {
    returned += ReturnPages(start, granules);
    {
      SpinLockHolder lock(&lock_);
      CountUsed(granules);
    }
    Free(start, granules);
  }
  SpinLockHolder lock(&lock_);
  if (high_ - top_ < kReturnedGranules) return returned;
  high_ = top_;
  high_now_.store(high_, std::memory_order_relaxed);
  if (taken_.load(std::memory_order_relaxed) != kNever) {
    taken_.store(std::min(taken_.load(std::memory_order_relaxed), high_),
                 std::memory_order_relaxed);
    wake_at_.store(high_, std::memory_order_relaxed);
  }
  return returned;
}

// The whole huge pages of an extent that nobody else has.
uint64_t Arena::ReturnPages(Granule start, uint32_t granules) const {
  const uint64_t begin = (uint64_t{start} * kGranuleBytes + kHugePage - 1) / kHugePage * kHugePage;
  const uint64_t end = (uint64_t{start} + granules) * kGranuleBytes / kHugePage * kHugePage;
  if (begin >= end) return 0;
  return madvise(base_ + begin, end - begin, MADV_DONTNEED) == 0 ? end - begin : 0;
}

uint32_t Arena::AheadGranules() const { return std::max(kLeastAheadGranules, high_ / kAheadPart); }

Arena::Ahead Arena::TakeAhead() {
  constexpr Granule kPage = kHugePage / kGranuleBytes;
  Granule begin = 0;
  {
    SpinLockHolder lock(&lock_);
    const Granule taken = taken_.load(std::memory_order_relaxed);
    begin = taken == kNever ? 0 : taken / kPage * kPage;
    const uint64_t wanted = uint64_t{high_} + AheadGranules();
    if (taken != kNever && (taken >= wanted || uint64_t{begin} + kPage > limit_)) {
      wake_at_.store(taken >= wanted ? taken - AheadGranules() : kNever, std::memory_order_relaxed);
      return Ahead::kEnough;
    }
  }
  // A page at a time: other threads cannot map or unmap anything meanwhile.
  if (madvise(At<void>(begin), kHugePage, kPopulateWrite) != 0 && errno == EINVAL) {
    SpinLockHolder lock(&lock_);
    taken_.store(kNever, std::memory_order_relaxed);
    return Ahead::kImpossible;
  }
  // Its bits: a small page of them.
  std::byte* const bits = reinterpret_cast<std::byte*>(boundary_) + begin / 8;
  madvise(bits, kPage / 8, kPopulateWrite);
  SpinLockHolder lock(&lock_);
  // Less than before: memory was returned meanwhile, and is taken again.
  const Granule taken = taken_.load(std::memory_order_relaxed);
  if (taken == kNever || taken >= begin) {
    taken_.store(begin + kPage, std::memory_order_relaxed);
  }
  return Ahead::kTaken;
}

}  // namespace kvroute
