#include "tools/placement/cache_ladder.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "indexer/base/check.h"
#include "tools/fleet/engine_pool.h"

namespace kvroute {
namespace {

double Share(uint64_t hit_blocks, const PlacementWorkload& workload) {
  const double tokens = static_cast<double>(hit_blocks) * workload.block_size_tokens();
  return workload.prompt_tokens() == 0 ? 0 : tokens / static_cast<double>(workload.prompt_tokens());
}

// Of a prompt that is held to its end the last block is computed again, as engines do.
absl::Span<const BlockKey> Usable(const WorkloadRequest& request, uint32_t block_size_tokens) {
  return request.prompt_blocks.first((request.prompt_tokens - 1) / block_size_tokens);
}

double InfiniteShare(const PlacementWorkload& workload) {
  absl::flat_hash_set<BlockKey> held;
  uint64_t hits = 0;
  for (const WorkloadRequest& request : workload.requests()) {
    for (const BlockKey block : Usable(request, workload.block_size_tokens())) {
      if (!held.contains(block)) break;
      ++hits;
    }
    held.insert(request.blocks.begin(), request.blocks.end());
  }
  return Share(hits, workload);
}

double OnePoolShare(const PlacementWorkload& workload, uint64_t blocks) {
  const auto capacity = static_cast<uint32_t>(std::min<uint64_t>(blocks, UINT32_MAX - 1));
  BasicEnginePool<BlockKey> pool(capacity, workload.block_size_tokens(), Announce::kFirstCopy,
                                 nullptr);
  uint64_t hits = 0;
  std::vector<BlockIndex> taken;
  for (const WorkloadRequest& request : workload.requests()) {
    const uint32_t held = pool.CountResident(Usable(request, workload.block_size_tokens()));
    taken.clear();
    if (!pool.Acquire(request.blocks.first(held),
                      static_cast<uint32_t>(request.blocks.size()) - held, &taken)) {
      continue;
    }
    hits += held;
    pool.Register(taken, request.blocks, {}, held, request.blocks.size());
    pool.Release(taken);
  }
  return Share(hits, workload);
}

}  // namespace

CacheLadder MeasureLadder(const PlacementWorkload& workload, uint64_t fleet_blocks) {
  // No pool need be larger than all that is ever stored.
  uint64_t stored = 1;
  for (const WorkloadRequest& request : workload.requests()) stored += request.blocks.size();
  return {.infinite = InfiniteShare(workload),
          .one_pool = OnePoolShare(workload, std::min(fleet_blocks, stored))};
}

}  // namespace kvroute
