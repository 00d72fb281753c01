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

FleetState::FleetState(const FleetProfile& profile)
    : random_(profile.seed), index_(std::make_unique<PrefixIndex>()) {
  streams_ = OpenStreams(index_.get(), profile.holders);
  while (holdings_ < profile.target_holdings) FillGroup(profile);
  const auto misses = static_cast<size_t>(profile.miss_share / (1 - profile.miss_share) *
                                          static_cast<double>(queries_.size()));
  for (size_t i = 0; i < misses; ++i) queries_.push_back(MakeChain(random_.Next(), 78).prefixes);
  for (size_t i = queries_.size(); i > 1; --i) {
    std::swap(queries_[i - 1], queries_[random_.Below(i)]);
  }
}

void FleetState::FillGroup(const FleetProfile& profile) {
  const uint32_t sharing = std::min(Sharing(random_.Uniform()), profile.holders);
  const size_t shared =
      LogUniform(profile.min_shared_blocks, profile.max_shared_blocks, random_.Uniform());
  const BlockChain prefix = MakeChain(random_.Next(), shared);
  const uint64_t first = random_.Below(profile.holders);
  for (uint32_t i = 0; i < sharing; ++i) {
    const StreamId stream = streams_[(first + i) % profile.holders];
    const size_t tail = profile.min_tail_blocks +
                        random_.Below(profile.max_tail_blocks - profile.min_tail_blocks + 1);
    const BlockChain chain = Extend(prefix, shared, random_.Next(), tail);
    StoreInBatches(profile, stream, chain);
    if (random_.Uniform() < profile.gap_share) {
      index_->Remove(stream, {chain.engine_hashes[random_.Below(chain.size() - 1)]}, Tier::kGpu);
    }
    if (queries_.size() < kMaxQueries && (i == 0 || random_.Uniform() < 0.1)) {
      queries_.push_back(chain.prefixes);
    }
  }
}

void FleetState::StoreInBatches(const FleetProfile& profile, StreamId stream,
                                const BlockChain& chain) {
  for (size_t first = 0; first < chain.size(); first += profile.batch_blocks) {
    const size_t end = std::min<size_t>(chain.size(), first + profile.batch_blocks);
    holdings_ += StoreBlocks(index_.get(), stream, chain, first, end).added;
    if (random_.Uniform() < profile.duplicate_share) {
      StoreBlocks(index_.get(), stream, chain, first, end);
    }
  }
}

}  // namespace kvroute
