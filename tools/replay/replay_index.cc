#include "tools/replay/replay_index.h"

#include "indexer/base/check.h"
#include "test/benchmark/flat_index.h"

namespace kvroute {
namespace {

class NoIndex final : public ReplayIndex {
 public:
  absl::StatusOr<StreamId> Open(CopyMode) override { return StreamId(next_++); }
  void Close(StreamId) override {}
  StoreResult Store(StreamId, const StoreRequest&) override { return {}; }
  RemoveResult Remove(StreamId, absl::Span<const EngineHash>, Tier) override { return {}; }
  uint64_t Clear(StreamId) override { return 0; }
  void Match(absl::Span<const PrefixHash>, MatchResult* result) const override { result->Clear(); }
  PrefixIndexStats Stats() const override { return {}; }

 private:
  uint32_t next_ = 0;
};

}  // namespace

std::unique_ptr<ReplayIndex> MakeReplayIndex(ReplayIndexKind kind) {
  PrefixIndexOptions options;
  options.secret_seed = 1;  // the same layout every time
  switch (kind) {
    case ReplayIndexKind::kRuns:
      return std::make_unique<ReplayIndexOf<PrefixIndex>>(options);
    case ReplayIndexKind::kFlat:
      return std::make_unique<ReplayIndexOf<FlatIndex>>();
    case ReplayIndexKind::kNone:
      return std::make_unique<NoIndex>();
  }
  KVROUTE_CHECK(false);
}

}  // namespace kvroute
