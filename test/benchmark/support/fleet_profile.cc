#include "test/benchmark/support/fleet_profile.h"

#include <algorithm>
#include <cmath>

namespace kvroute {
namespace {

constexpr size_t kMaxQueries = 50'000;

uint32_t Sharing(double draw) {
  if (draw < 0.5) return 1;
  return draw < 0.85 ? 8 : 64;
}

size_t LogUniform(uint32_t low, uint32_t high, double draw) {
  return static_cast<size_t>(low * std::pow(static_cast<double>(high) / low, draw));
}

}  // namespace

template <typename Index>
FleetState<Index>::FleetState(uint64_t target_holdings, bool offloaded)
    : offloaded_(offloaded), random_(profile_.seed) {
  profile_.target_holdings = target_holdings;
  streams_ = OpenStreams(&index_, profile_.holders);
  while (holdings_ < profile_.target_holdings) FillGroup();
  AddMisses();
  for (size_t i = queries_.size(); i > 1; --i) {
    std::swap(queries_[i - 1], queries_[random_.Below(i)]);
  }
  FillGateCell();
}

template <typename Index>
void FleetState<Index>::FillGroup() {
  const uint32_t sharing = std::min(Sharing(random_.Uniform()), profile_.holders);
  const size_t shared =
      LogUniform(profile_.min_shared_blocks, profile_.max_shared_blocks, random_.Uniform());
  const BlockChain prefix = MakeChain(random_.Next(), shared);
  const uint64_t first = random_.Below(profile_.holders);
  for (uint32_t i = 0; i < sharing; ++i) {
    const StreamId stream = streams_[(first + i) % profile_.holders];
    const size_t tail = profile_.min_tail_blocks +
                        random_.Below(profile_.max_tail_blocks - profile_.min_tail_blocks + 1);
    const BlockChain chain = Extend(prefix, shared, random_.Next(), tail);
    StoreInBatches(stream, chain);
    if (random_.Uniform() < profile_.gap_share) {
      index_.Remove(stream, {chain.engine_hashes[random_.Below(chain.size() - 1)]}, Tier::kGpu);
    }
    if (queries_.size() < kMaxQueries && (i == 0 || random_.Uniform() < 0.1)) {
      queries_.push_back(chain.prefixes);
    }
  }
}

template <typename Index>
void FleetState<Index>::AddMisses() {
  const auto misses = static_cast<size_t>(profile_.miss_share / (1 - profile_.miss_share) *
                                          static_cast<double>(queries_.size()));
  for (size_t i = 0; i < misses; ++i) {
    queries_.push_back(MakeChain(random_.Next(), kGateBlocks).prefixes);
  }
}

template <typename Index>
void FleetState<Index>::FillGateCell() {
  for (size_t i = 0; i < 64; ++i) {
    const BlockChain chain = MakeChain(random_.Next(), kGateBlocks);
    for (size_t holder = 0; holder < kGateHolders; ++holder) {
      StoreInBatches(streams_[holder], chain);
    }
    gate_queries_.push_back(chain.prefixes);
  }
}

template <typename Index>
void FleetState<Index>::StoreInBatches(StreamId stream, const BlockChain& chain) {
  for (size_t first = 0; first < chain.size(); first += profile_.batch_blocks) {
    const size_t end = std::min<size_t>(chain.size(), first + profile_.batch_blocks);
    holdings_ += StoreBlocks(&index_, stream, chain, first, end).added;
    if (random_.Uniform() < profile_.duplicate_share) {
      StoreBlocks(&index_, stream, chain, first, end);
    }
  }
  if constexpr (std::is_same_v<Index, PrefixIndex>) {
    if (offloaded_) OffloadTail(&index_, stream, chain, offload_random_.Uniform());
  }
}

template class FleetState<PrefixIndex>;
template class FleetState<FlatIndex>;

}  // namespace kvroute
