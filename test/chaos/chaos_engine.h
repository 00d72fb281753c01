#ifndef KVROUTE_TEST_CHAOS_CHAOS_ENGINE_H_
#define KVROUTE_TEST_CHAOS_CHAOS_ENGINE_H_

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "indexer/event/block_hasher.h"
#include "indexer/event/event_encoder.h"
#include "test/support/reference_index.h"
#include "tools/publisher/zmq_publisher.h"

namespace kvroute {

struct ChaosEngineOptions {
  uint64_t seed = 1;
  StreamId model_stream{};  // under which the reference model knows it
  WireFormat format{};
  PublisherOptions sockets{};
  uint32_t block_size_tokens = 4;
  bool random_clears = false;  // a clear also ends what a test wants to see: lost trust
};

// An engine whose true state is known: each step changes its cache at random (chains that share
// prefixes, evictions from the tail and out of the middle, second copies, sometimes a clear),
// publishes what changed, and tells the reference model the truth, whatever then happens to the
// message.
//
// Thread safety: one thread.
class ChaosEngine {
 public:
  // The model must outlive it.
  ChaosEngine(ZmqContext* context, const ChaosEngineOptions& options, ReferenceIndex* model);

  void Step();  // publishes at least one batch
  void Steps(int count) {
    for (int i = 0; i < count; ++i) Step();
  }
  void Clear();
  // A new life: empty, numbers from 0; its connections are cut unless `keep_connections`.
  void Restart(bool keep_connections = false);

  ZmqPublisher& sockets() { return *sockets_; }
  const ChaosEngineOptions& options() const { return options_; }
  bool serving() const { return serving_; }
  void SetServing(bool serving) { serving_ = serving; }  // false: it hangs, and answers no replay

 private:
  static constexpr size_t kChains = 8;
  static constexpr size_t kMaxBlocks = 24;

  EngineHash Published(const Digest& digest) const;
  void Change();
  void StoreSome();
  void RemoveOne();
  void StoreRange(size_t chain, size_t first, size_t end);
  void PublishStep();

  const ChaosEngineOptions options_;
  ReferenceIndex* const model_;
  std::mt19937_64 random_;
  EventEncoder encoder_;
  std::string payload_;
  double ts_seconds_ = 1.7e9;
  std::unique_ptr<ZmqPublisher> sockets_;
  bool serving_ = true;
  std::vector<std::vector<TokenId>> tokens_;  // of each chain
  std::vector<std::vector<Digest>> hashes_;   // of each chain's blocks
  std::vector<std::vector<int>> copies_;      // held of them
};

// The tokens of chain `chain`: those of chain c ^ 1 up to half of it, so that prefixes are shared;
// the same for every engine.
std::vector<TokenId> ChaosTokens(size_t chain, size_t count);

}  // namespace kvroute

#endif  // KVROUTE_TEST_CHAOS_CHAOS_ENGINE_H_
