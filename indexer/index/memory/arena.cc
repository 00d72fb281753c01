#include "indexer/index/memory/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>

#include "indexer/base/check.h"
#include "indexer/index/memory/poison.h"

namespace kvroute {
namespace {

constexpr uint64_t kMostBytes = uint64_t{256} << 30;
constexpr uint64_t kLeastBytes = uint64_t{1} << 30;
constexpr uint64_t kHugePage = uint64_t{2} << 20;

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

KVROUTE_READS_POISONED Granule Arena::Take(Granule found, uint32_t granules) {
  if (found != 0) {
    const uint32_t have = At<FreeNode>(found)->granules;
    Unlink(found);
    if (have > granules) Link(found + granules, have - granules);
    Unpoison(At<std::byte>(found), size_t{granules} * kGranuleBytes);
    return found;
  }
  KVROUTE_CHECK(granules < limit_ - top_);
  const Granule start = top_;
  top_ += granules;
  high_ = std::max(high_, top_);
  Unpoison(At<std::byte>(start), size_t{granules} * kGranuleBytes);
  return start;
}

Granule Arena::Allocate(uint32_t granules) {
  SpinLockHolder lock(&lock_);
  return Take(FindFree(granules), granules);
}

KVROUTE_READS_POISONED Granule Arena::AllocateUpTo(uint32_t* granules, uint32_t least) {
  SpinLockHolder lock(&lock_);
  Granule found = FindFree(*granules);
  if (found == 0 && *granules > high_ - top_) {
    found = FindShorter(*granules, least);
    if (found != 0) *granules = At<FreeNode>(found)->granules;
  }
  return Take(found, *granules);
}

KVROUTE_READS_POISONED void Arena::Free(Granule start, uint32_t granules) {
  SpinLockHolder lock(&lock_);
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

KVROUTE_READS_POISONED uint32_t Arena::ExtendBetween(Granule start, uint32_t granules,
                                                     uint32_t least, uint32_t extra) {
  SpinLockHolder lock(&lock_);
  const Granule end = start + granules;
  if (end == top_) {
    if (extra > high_ - top_ && FindFree(kUsefulGranules) != 0) {
      extra = high_ - top_;
      if (extra < least) return 0;
    }
    KVROUTE_CHECK(extra < limit_ - top_);
    top_ += extra;
    high_ = std::max(high_, top_);
    Unpoison(At<std::byte>(end), size_t{extra} * kGranuleBytes);
    return extra;
  }
  if (!Boundary(end)) return 0;
  const uint32_t have = At<FreeNode>(end)->granules;
  if (have < least) return 0;
  Unlink(end);
  const uint32_t taken = std::min(have, extra);
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

}  // namespace kvroute
