#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_FLEET_PROFILE_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_FLEET_PROFILE_H_

#include <cstdint>
#include <type_traits>
#include <vector>

#include "indexer/index/prefix_index.h"
#include "test/benchmark/flat_index.h"
#include "test/benchmark/support/chains.h"
#include "tools/workload/random.h"

namespace kvroute {

// The pinned shape of a fleet's state: groups of workers share a prefix and each holds a tail of
// its own.
struct FleetProfile {
  uint32_t holders = 256;  // streams
  uint64_t target_holdings = 10'000'000;
  // How many share a group's prefix: 50 % one, 35 % eight, 15 % sixty-four.
  uint32_t min_shared_blocks = 8;  // log-uniform
  uint32_t max_shared_blocks = 512;
  uint32_t min_tail_blocks = 4;  // uniform
  uint32_t max_tail_blocks = 64;
  double duplicate_share = 0.05;  // stored batches that come again
  double gap_share = 0.02;        // chains with one block evicted out of turn
  uint32_t batch_blocks = 8;      // blocks a stored event
  double miss_share = 0.2;        // queries for prompts that nobody holds
  uint64_t seed = 1;
};

// An index (PrefixIndex or FlatIndex) filled in that shape, and queries to ask it. The fill goes
// round the groups' holders, so no stream's blocks lie together. Beside it the gate cell: 64
// prompts of 78 blocks, each held whole by the same 64 of the holders.
template <typename Index>
class FleetState {
 public:
  static constexpr size_t kGateBlocks = 78;
  static constexpr size_t kGateHolders = 64;

  // `offloaded`: 40 % of the holdings are in slower tiers than gpu; else all is the same.
  explicit FleetState(uint64_t target_holdings, bool offloaded = false);

  const Index& index() const { return index_; }
  const std::vector<std::vector<PrefixHash>>& queries() const { return queries_; }
  const std::vector<std::vector<PrefixHash>>& gate_queries() const { return gate_queries_; }

 private:
  void FillGroup();
  void FillGateCell();
  void AddMisses();
  void StoreInBatches(StreamId stream, const BlockChain& chain);

  static Index Make() {
    if constexpr (std::is_same_v<Index, PrefixIndex>) {
      return Index({.secret_seed = 1});  // hashes lie alike in every process
    } else {
      return Index();
    }
  }

  FleetProfile profile_;
  const bool offloaded_;
  SeededRandom random_;
  SeededRandom offload_random_{7};
  Index index_ = Make();
  std::vector<StreamId> streams_;
  std::vector<std::vector<PrefixHash>> queries_;
  std::vector<std::vector<PrefixHash>> gate_queries_;
  uint64_t holdings_ = 0;
};

extern template class FleetState<PrefixIndex>;
extern template class FleetState<FlatIndex>;

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_FLEET_PROFILE_H_
