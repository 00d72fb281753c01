#ifndef KVROUTE_TOOLS_REPLAY_REPLAY_INDEX_H_
#define KVROUTE_TOOLS_REPLAY_REPLAY_INDEX_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "indexer/index/prefix_index.h"

namespace kvroute {

// What a corpus is replayed against: the index, or something measured beside it. One virtual call
// an operation, 1-2 ns of the hundreds that it takes. Thread safety: as PrefixIndex.
class ReplayIndex {
 public:
  virtual ~ReplayIndex() = default;
  virtual absl::StatusOr<StreamId> Open(CopyMode mode) = 0;
  virtual void Close(StreamId stream) = 0;
  virtual StoreResult Store(StreamId stream, const StoreRequest& request) = 0;
  virtual RemoveResult Remove(StreamId stream, absl::Span<const EngineHash> engine_hashes,
                              Tier tier) = 0;
  virtual uint64_t Clear(StreamId stream) = 0;
  virtual void Match(absl::Span<const PrefixHash> prompt, MatchResult* result) const = 0;
  // The same for local hashes, chained in `memory` as far as the index wants it.
  virtual void MatchLocals(absl::Span<const LocalHash> prompt, std::vector<PrefixHash>* memory,
                           MatchResult* result) const {
    memory->clear();
    ChainLocals(prompt, memory);
    Match(*memory, result);
  }
  virtual PrefixIndexStats Stats() const = 0;
};

// Any class with the methods of PrefixIndex.
template <typename Index>
class ReplayIndexOf final : public ReplayIndex {
 public:
  template <typename... Args>
  explicit ReplayIndexOf(Args&&... args) : index_(std::forward<Args>(args)...) {}

  absl::StatusOr<StreamId> Open(CopyMode mode) override { return index_.Open(mode); }
  void Close(StreamId stream) override { index_.Close(stream); }
  StoreResult Store(StreamId stream, const StoreRequest& request) override {
    return index_.Store(stream, request);
  }
  RemoveResult Remove(StreamId stream, absl::Span<const EngineHash> engine_hashes,
                      Tier tier) override {
    return index_.Remove(stream, engine_hashes, tier);
  }
  uint64_t Clear(StreamId stream) override { return index_.Clear(stream); }
  void Match(absl::Span<const PrefixHash> prompt, MatchResult* result) const override {
    index_.Match(prompt, result);
  }
  void MatchLocals(absl::Span<const LocalHash> prompt, std::vector<PrefixHash>* memory,
                   MatchResult* result) const override {
    PromptChain chain(prompt);
    if constexpr (requires { index_.Match(&chain, result); }) {
      index_.Match(&chain, result);
    } else {
      ReplayIndex::MatchLocals(prompt, memory, result);
    }
  }
  PrefixIndexStats Stats() const override {
    if constexpr (requires { index_.WaitForScrub(); }) index_.WaitForScrub();
    return index_.Stats();
  }

 private:
  Index index_;
};

enum class ReplayIndexKind : uint8_t {
  kRuns,  // PrefixIndex
  kFlat,  // the yardstick: a hash map entry a block
  kNone,  // does nothing: what the replay itself costs
};

std::unique_ptr<ReplayIndex> MakeReplayIndex(ReplayIndexKind kind);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_REPLAY_REPLAY_INDEX_H_
