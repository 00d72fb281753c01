#include "indexer/index/runs/tier_map.h"

#include <algorithm>
#include <bit>

namespace kvroute {
namespace {

// The bits of blocks [begin, end) of a word.
uint64_t BitsOf(uint32_t begin, uint32_t end) {
  const uint64_t below_end =
      end == TierMap::kWordBlocks ? ~uint64_t{0} : (uint64_t{1} << end * 2) - 1;
  return below_end & (~uint64_t{0} << begin * 2);
}

}  // namespace

TierMap::TierMap(TierSteps steps) {
  const SlowerBlocks all = steps.All();
  const uint32_t gpu = steps.Gpu();
  Set(gpu, gpu + all.cpu, Tier::kCpu);
  Set(gpu + all.cpu, gpu + all.cpu + all.disk, Tier::kDisk);
  Set(gpu + all.cpu + all.disk, steps.End(), Tier::kExternal);
}

void TierMap::Set(uint32_t begin, uint32_t end, Tier tier) {
  const uint64_t pattern = kEach * static_cast<uint64_t>(tier);
  while (begin < end) {
    const uint32_t word = begin / kWordBlocks;
    const uint32_t first = begin % kWordBlocks;
    const uint32_t last = std::min(kWordBlocks, first + (end - begin));
    const uint64_t bits = BitsOf(first, last);
    words_[word] = (words_[word] & ~bits) | (pattern & bits);
    begin += last - first;
  }
}

SlowerBlocks TierMap::Count(uint32_t blocks) const {
  SlowerBlocks counts;
  for (uint32_t word = 0; word * kWordBlocks < blocks; ++word) {
    const uint64_t bits =
        words_[word] & BitsOf(0, std::min(kWordBlocks, blocks - word * kWordBlocks));
    const uint64_t low = bits & kEach;
    const uint64_t high = bits >> 1 & kEach;
    counts += SlowerBlocks{static_cast<uint32_t>(std::popcount(low & ~high)),
                           static_cast<uint32_t>(std::popcount(high & ~low)),
                           static_cast<uint32_t>(std::popcount(high & low))};
  }
  return counts;
}

uint32_t TierMap::FirstNot(Tier tier, uint32_t begin) const {
  const uint64_t pattern = kEach * static_cast<uint64_t>(tier);
  uint32_t first = begin % kWordBlocks;
  for (uint32_t word = begin / kWordBlocks; word < kWords; ++word, first = 0) {
    const uint64_t others = (words_[word] ^ pattern) & BitsOf(first, kWordBlocks);
    if (others == 0) continue;
    return word * kWordBlocks + static_cast<uint32_t>(std::countr_zero(others)) / 2;
  }
  return kMaxRunBlocks;
}

std::optional<TierSteps> TierMap::Steps() const {
  const uint32_t gpu = FirstNot(Tier::kGpu, 0);
  if (gpu == kMaxRunBlocks) return TierSteps();
  const uint32_t cpu = FirstNot(Tier::kCpu, gpu);
  const uint32_t disk = FirstNot(Tier::kDisk, cpu);
  const uint32_t external = FirstNot(Tier::kExternal, disk);
  if (FirstNot(Tier::kGpu, external) != kMaxRunBlocks) return std::nullopt;
  return TierSteps(gpu, SlowerBlocks{cpu - gpu, disk - cpu, external - disk});
}

}  // namespace kvroute
