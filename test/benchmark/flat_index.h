#ifndef KVROUTE_TEST_BENCHMARK_FLAT_INDEX_H_
#define KVROUTE_TEST_BENCHMARK_FLAT_INDEX_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "indexer/base/mutex.h"
#include "indexer/index/prefix_index.h"

namespace kvroute {

// The yardstick: what one would write first and well. One entry per block in 256
// absl::flat_hash_maps, each with a lock; an entry lists its holders. A map per stream from engine
// hash to prefix hash serves removals. Same operations and same answers as PrefixIndex as long as a
// stream's engine hashes are one to one with its blocks (rebinds are handled, several engine hashes
// of one block are not).
//
// Thread safety: as PrefixIndex, except that Match locks shards and Clear takes as long as there is
// to remove.
class FlatIndex {
 public:
  explicit FlatIndex(size_t max_streams = 16'384);  // over its life: ids are not used again

  absl::StatusOr<StreamId> Open(CopyMode mode);
  void Close(StreamId stream);
  StoreResult Store(StreamId stream, const StoreRequest& request);
  RemoveResult Remove(StreamId stream, absl::Span<const EngineHash> engine_hashes, Tier tier);
  uint64_t Clear(StreamId stream);
  void Match(absl::Span<const PrefixHash> prompt, MatchResult* result) const;
  // `bytes` is computed from the maps' capacities.
  PrefixIndexStats Stats() const;

 private:
  using Copies = std::array<uint8_t, kTierCount>;
  struct Holder {
    uint32_t stream;
    Copies copies;
  };
  using Holders = absl::InlinedVector<Holder, 2>;
  struct alignas(128) Shard {
    mutable Mutex mutex;
    absl::flat_hash_map<PrefixHash, Holders> blocks ABSL_GUARDED_BY(mutex);
  };
  struct Stream {
    CopyMode mode = CopyMode::kCounted;
    absl::flat_hash_map<EngineHash, PrefixHash> blocks;
  };

  Shard& ShardOf(PrefixHash prefix) const { return shards_[prefix.value() >> 56]; }
  uint64_t DropAll(StreamId stream, PrefixHash prefix);

  const std::unique_ptr<Shard[]> shards_;
  std::atomic<uint32_t> next_{1};
  std::vector<std::unique_ptr<Stream>> streams_;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_FLAT_INDEX_H_
