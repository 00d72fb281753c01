#ifndef KVROUTE_TOOLS_CORPUS_CORPUS_FORMAT_H_
#define KVROUTE_TOOLS_CORPUS_CORPUS_FORMAT_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "tools/corpus/corpus_file.h"

// What the reader and the writer of a corpus must agree on.
namespace kvroute::corpus_format {

inline constexpr char kMagic[8] = {'S', 'M', 'G', 'M', 'C', 'K', '0', '1'};
inline constexpr uint32_t kVersion = 1;
inline constexpr uint32_t kVersionWithTiers =
    2;  // a byte behind the event id of stored and removed
// A cleared operation: id, deadline, worker, kind, rank, event id.
inline constexpr size_t kShortestOperationBytes = 4 + 8 + 8 + 1 + 4 + 8;

// The u64 fields after version and block size, in file order.
inline std::array<uint64_t*, 5> HeaderFields(CorpusHeader* header) {
  return {&header->reference_window_ns, &header->trace_duplication_factor,
          &header->trace_length_factor, &header->worker_duplication_factor,
          &header->logical_workers};
}

inline std::array<uint64_t*, 7> TotalFields(CorpusTotals* totals) {
  return {&totals->requests,       &totals->stored_events,  &totals->removed_events,
          &totals->cleared_events, &totals->request_blocks, &totals->stored_blocks,
          &totals->removed_blocks};
}

inline void AddToTotals(const CorpusOperation& op, CorpusTotals* totals) {
  switch (op.kind) {
    case OperationKind::kQuery:
      ++totals->requests;
      totals->request_blocks += op.length;
      return;
    case OperationKind::kStored:
      ++totals->stored_events;
      totals->stored_blocks += op.length;
      return;
    case OperationKind::kRemoved:
      ++totals->removed_events;
      totals->removed_blocks += op.length;
      return;
    case OperationKind::kCleared:
      ++totals->cleared_events;
      return;
  }
}

}  // namespace kvroute::corpus_format

#endif  // KVROUTE_TOOLS_CORPUS_CORPUS_FORMAT_H_
