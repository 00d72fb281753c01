#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "test/support/reference_index.h"
#include "tools/replay/closed_loop.h"
#include "tools/replay/replay_streams.h"

namespace kvroute {
namespace {

std::string Describe(const StoreResult& result) {
  return absl::StrCat(result.status == StoreStatus::kStored ? "stored" : "unknown parent",
                      ", added ", result.added, ", duplicate ", result.duplicate, ", rebound ",
                      result.rebound);
}

std::string Describe(const RemoveResult& result) {
  return absl::StrCat("removed ", result.removed, ", copies left ", result.copies_left,
                      ", unknown ", result.unknown);
}

std::string Describe(const PrefixIndexStats& stats) {
  return absl::StrCat(stats.streams, " streams, ", stats.holdings, " holdings, ",
                      stats.distinct_blocks, " distinct blocks");
}

// Every result as text, so that equal and "what differs" are one thing.
class ModelCheck {
 public:
  ModelCheck(const Corpus& corpus, ReplayIndex* index)
      : corpus_(corpus), index_(index), streams_(index) {}

  absl::Status Run() {
    for (const CorpusOperation& op : corpus_.operations) {
      if (absl::Status status = streams_.Introduce(op); !status.ok()) return status;
    }
    streams_.ForEach([&](StreamId stream) { model_.Open(stream, CopyMode::kCounted); });
    for (size_t i = 0; i < corpus_.operations.size(); ++i) {
      const CorpusOperation& op = corpus_.operations[i];
      const auto [actual, expected] = op.kind == OperationKind::kQuery ? Query(op) : Apply(op);
      if (actual == expected) continue;
      return absl::InternalError(absl::StrCat("operation ", i, " (worker ", op.worker_id,
                                              "): the index gives\n", actual, "\nand the model\n",
                                              expected));
    }
    const std::string actual = Describe(index_->Stats());
    const std::string expected = Describe(model_.Stats());
    if (actual == expected) return absl::OkStatus();
    return absl::InternalError(
        absl::StrCat("at the end the index has ", actual, " and the model ", expected));
  }

 private:
  struct Results {
    std::string actual;
    std::string expected;
  };

  Results Query(const CorpusOperation& op) {
    index_->MatchLocals(corpus_.Query(op), &prompt_, &actual_);
    prompt_.clear();
    ChainLocals(corpus_.Query(op), &prompt_);
    model_.Match(prompt_, &expected_);
    actual_.matches = SortedMatches(actual_);
    expected_.matches = SortedMatches(expected_);
    return {DescribeMatches(actual_), DescribeMatches(expected_)};
  }

  Results Apply(const CorpusOperation& op) {
    const ReplayStreams::Current current = streams_.Advance(op);
    if (current.stream != current.before) {
      model_.Close(current.before);
      model_.Open(current.stream, CopyMode::kCounted);
    }
    const StreamId stream = current.stream;
    if (op.kind == OperationKind::kCleared) {
      return {absl::StrCat("cleared ", index_->Clear(stream)),
              absl::StrCat("cleared ", model_.Clear(stream))};
    }
    if (op.kind == OperationKind::kRemoved) {
      const absl::Span<const EngineHash> hashes = corpus_.Removed(op);
      return {Describe(index_->Remove(stream, hashes, op.tier)),
              Describe(model_.Remove(stream, hashes, op.tier))};
    }
    StoreRequest request;
    if (op.has_parent) request.parent = op.parent;
    request.engine_hashes = corpus_.StoredEngineHashes(op);
    request.local_hashes = corpus_.StoredLocalHashes(op);
    request.tier = op.tier;
    return {Describe(index_->Store(stream, request)), Describe(model_.Store(stream, request))};
  }

  const Corpus& corpus_;
  ReplayIndex* const index_;
  ReplayStreams streams_;
  ReferenceIndex model_;
  std::vector<PrefixHash> prompt_;
  MatchResult actual_;
  MatchResult expected_;
};

}  // namespace

absl::Status CheckAgainstModel(const Corpus& corpus, ReplayIndex* index) {
  return ModelCheck(corpus, index).Run();
}

}  // namespace kvroute
