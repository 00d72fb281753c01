#ifndef KVROUTE_TEST_SUPPORT_MODEL_ENGINE_H_
#define KVROUTE_TEST_SUPPORT_MODEL_ENGINE_H_

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "indexer/event/event_encoder.h"
#include "indexer/index/prefix_index.h"

namespace kvroute {

// For tests: an engine whose pool is a tree of blocks, doing random things and publishing them as a
// vLLM engine would. Everything it held after each batch can be looked up, so that a subscriber can
// be judged at any point. Thread safety: none.
class ModelEngine {
 public:
  static constexpr uint32_t kBlockTokens = 4;
  using Copies = std::map<uint32_t, int>;  // node -> copies; absent: not held

  explicit ModelEngine(uint64_t seed);

  // One engine step: a few stores, removals, rarely a clear. Returns the batch's bytes.
  std::string Step();
  // The same without the clear, which makes any state exact: for tests that publish an unknown
  // number of batches and look at what else a subscriber thinks of them.
  std::string StepWithoutClear();
  // A batch that says the pool is empty.
  std::string Clear();
  // Another life: an empty pool, numbers from 0.
  void Restart();

  uint64_t next_seq() const { return history_.size() - 1; }
  // Whether batch `seq` ends by saying that the pool is empty.
  bool ClearedBy(uint64_t seq) const { return cleared_[seq]; }
  // How many leading blocks of the prompt that ends at `node` were held when `seq` was next.
  uint32_t HeldAt(uint64_t seq, uint32_t node) const;
  std::vector<PrefixHash> PromptOf(uint32_t node) const;
  // Whether `node` itself was held then, and how the engine calls it.
  bool HoldsAt(uint64_t seq, uint32_t node) const { return history_[seq].contains(node); }
  EngineHash EngineHashOf(uint32_t node) const;
  uint32_t nodes() const { return static_cast<uint32_t>(nodes_.size()); }

 private:
  struct Node {
    int64_t parent;  // -1: none
    std::vector<TokenId> tokens;
    Digest digest;
    PrefixHash prefix;
  };

  uint32_t Child(int64_t parent);
  void StoreAndRemove();
  void StoreSomething();
  void RemoveSomething();
  std::string Finish(bool cleared);
  std::vector<uint32_t> PathOf(uint32_t node) const;

  std::mt19937_64 random_;
  BlockHasher hasher_;
  EventEncoder encoder_;
  std::vector<Node> nodes_;  // every block there ever was
  std::map<std::pair<int64_t, int>, uint32_t> children_;
  Copies held_;
  std::vector<Copies> history_;  // [n]: before batch n of this life
  std::vector<bool> cleared_;    // [n]: by batch n
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_MODEL_ENGINE_H_
