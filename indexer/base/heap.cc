#include "indexer/base/heap.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace kvroute {
namespace {

constexpr int kHeaps = 4;

uint64_t ResidentNow() {
  unsigned long pages = 0;
  FILE* const statm = std::fopen("/proc/self/statm", "re");
  if (statm == nullptr) return 0;
  if (std::fscanf(statm, "%*u %lu", &pages) != 1) pages = 0;
  std::fclose(statm);
  return uint64_t{pages} * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

void ConfigureHeap() {
  mallopt(M_MMAP_THRESHOLD, kOwnMappingBytes);
  mallopt(M_ARENA_MAX, kHeaps);
}

HeapReturn::HeapReturn(uint64_t limit_bytes)
    : HeapReturn(limit_bytes, &ResidentNow, [] { malloc_trim(0); }) {}

bool HeapReturn::Look(uint64_t needed, Nanos now) {
  const uint64_t before = resident_();
  const uint64_t waste = before - std::min(before, needed);
  const bool near_the_limit = before > limit_ / 8 * 7;
  if (waste < kLeastWaste) {
    between_ = kBetween;
    return false;
  }
  if (now < next_ && !(near_the_limit && now >= next_ - between_ + kBetweenNearTheLimit)) {
    return false;
  }
  trim_();
  const uint64_t after = resident_();
  const bool in_vain = before - std::min(before, after) < waste / 4;
  between_ = in_vain ? std::min<Nanos>(2 * between_, kBetweenInVain) : Nanos(kBetween);
  next_ = now + between_;
  return true;
}

}  // namespace kvroute
