#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_CONCURRENT_LOAD_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_CONCURRENT_LOAD_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "test/benchmark/support/chains.h"

namespace kvroute {

// An index in which each of 64 streams holds a part of 2,000 chains, and writers that keep
// replacing chains of their own.
//
// Thread safety: Query from any thread; Write of one writer by one thread at a time.
class ConcurrentLoad {
 public:
  static constexpr size_t kChains = 2'000;

  explicit ConcurrentLoad(size_t writers) {
    const std::vector<StreamId> readers_streams = OpenStreams(&index_, kStreams);
    writer_streams_ = OpenStreams(&index_, writers);
    for (size_t i = 0; i < kChains; ++i) {
      chains_.push_back(MakeChain(i, kBlocks));
      StoreChain(&index_, readers_streams[i % kStreams], chains_.back());
    }
  }

  void Query(uint64_t turn, MatchResult* result) const {
    index_.Match(chains_[turn * 7 % kChains].prefixes, result);
  }
  // One chain stored and removed by a writer's own stream.
  void Write(size_t writer, uint64_t turn) {
    const BlockChain& chain = chains_[(turn * 13 + writer) % kChains];
    StoreChain(&index_, writer_streams_[writer], chain);
    index_.Remove(writer_streams_[writer], chain.engine_hashes, Tier::kGpu);
  }

 private:
  static constexpr size_t kBlocks = 78;
  static constexpr size_t kStreams = 64;

  PrefixIndex index_;
  std::vector<BlockChain> chains_;
  std::vector<StreamId> writer_streams_;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_CONCURRENT_LOAD_H_
