#ifndef KVROUTE_TOOLS_CORPUS_CORPUS_FILE_H_
#define KVROUTE_TOOLS_CORPUS_CORPUS_FILE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "indexer/event/event.h"
#include "indexer/index/prefix_hash.h"

namespace kvroute {

// A corpus is a file of operations as an engine fleet and its gateway would issue them: the public
// layout SMGMCK01, version 1 (docs/benchmarks.md, "Corpus replays"). Everything in it is
// little-endian. Version 2 is ours: stored and removed operations also say which tier they are
// about; a corpus that is all in gpu is version 1.

struct CorpusTotals {
  uint64_t requests = 0;
  uint64_t stored_events = 0;
  uint64_t removed_events = 0;
  uint64_t cleared_events = 0;
  uint64_t request_blocks = 0;
  uint64_t stored_blocks = 0;
  uint64_t removed_blocks = 0;

  friend bool operator==(const CorpusTotals&, const CorpusTotals&) = default;
};

struct CorpusHeader {
  uint32_t block_size_tokens = 0;
  uint64_t reference_window_ns = 0;  // what the deadlines are scaled to
  uint64_t trace_duplication_factor = 1;
  uint64_t trace_length_factor = 1;
  uint64_t worker_duplication_factor = 1;
  uint64_t logical_workers = 0;  // highest worker id + 1
  std::string trace_path;        // informational
};

enum class OperationKind : uint8_t { kQuery = 0, kStored = 1, kRemoved = 2, kCleared = 3 };

struct CorpusOperation {
  OperationKind kind = OperationKind::kQuery;
  bool has_parent = false;
  bool has_start_position = false;
  uint32_t dp_rank = 0;
  uint64_t deadline_ns = 0;
  uint64_t worker_id = 0;
  uint64_t event_id = 0;        // of its stream, ascending; going down is a restart
  Tier tier = Tier::kGpu;       // stored, removed; a scored one
  EngineHash parent;            // stored
  uint32_t start_position = 0;  // stored: block position of the first hash in its prompt
  uint64_t start = 0;           // into the corpus's hashes of that kind
  uint32_t length = 0;

  friend bool operator==(const CorpusOperation&, const CorpusOperation&) = default;
};

// A whole corpus in memory, checked: every operation's range lies inside its hashes and the totals
// are true.
struct Corpus {
  CorpusHeader header;
  CorpusTotals totals;
  std::vector<LocalHash> query_hashes;
  // the file's (block_hash, tokens_hash) pairs, taken apart
  std::vector<EngineHash> stored_engine_hashes;
  std::vector<LocalHash> stored_local_hashes;
  std::vector<EngineHash> removed_hashes;
  std::vector<CorpusOperation> operations;

  absl::Span<const LocalHash> Query(const CorpusOperation& op) const {
    return absl::MakeConstSpan(query_hashes).subspan(op.start, op.length);
  }
  absl::Span<const EngineHash> StoredEngineHashes(const CorpusOperation& op) const {
    return absl::MakeConstSpan(stored_engine_hashes).subspan(op.start, op.length);
  }
  absl::Span<const LocalHash> StoredLocalHashes(const CorpusOperation& op) const {
    return absl::MakeConstSpan(stored_local_hashes).subspan(op.start, op.length);
  }
  absl::Span<const EngineHash> Removed(const CorpusOperation& op) const {
    return absl::MakeConstSpan(removed_hashes).subspan(op.start, op.length);
  }

  // Errors: NOT_FOUND or INVALID_ARGUMENT names the file, the section and what is wrong with it.
  // Nothing is allocated by a count that the rest of the file could not hold.
  static absl::StatusOr<Corpus> Read(const std::string& path);
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_CORPUS_CORPUS_FILE_H_
