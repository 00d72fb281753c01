#ifndef KVROUTE_INDEXER_STREAM_INGEST_COUNTERS_H_
#define KVROUTE_INDEXER_STREAM_INGEST_COUNTERS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "indexer/base/enum_names.h"
#include "indexer/base/latency_histogram.h"
#include "indexer/event/decoder.h"
#include "indexer/event/event.h"

namespace kvroute {

// What became of an event that decoded well. Metric label values.
enum class EventOutcome : uint8_t {
  kApplied,
  kPending,         // its parent is unknown; kept for when it comes
  kPendingDropped,  // its parent is unknown and the bound of pending events is reached
  kOtherGroup,      // a KV-cache group that is not full attention
  kUnplaceable,     // no tokens and no known block: cannot be matched to a prompt
  kUnknownTier,
  kBlockSize,  // not the stream's block size
  kExtraKeys,  // its extra keys are not one entry a block: at most a copy of blocks held
};
inline constexpr auto kEventOutcomeNames =
    NamesUpTo<EventOutcome::kExtraKeys>("applied", "pending", "pending_dropped", "other_group",
                                        "unplaceable", "unknown_tier", "block_size", "extra_keys");
inline constexpr size_t kEventOutcomeCount = kEventOutcomeNames.size();
inline std::string_view EventOutcomeName(EventOutcome outcome) {
  return kEventOutcomeNames[outcome];
}

enum class BlockOutcome : uint8_t {
  kAdded,
  kDuplicate,
  kRebound,
  kRemoved,
  kCopiesLeft,
  kUnknown,
  kCleared,
};
inline constexpr auto kBlockOutcomeNames = NamesUpTo<BlockOutcome::kCleared>(
    "added", "duplicate", "rebound", "removed", "copies_left", "unknown", "cleared");
inline constexpr size_t kBlockOutcomeCount = kBlockOutcomeNames.size();
inline std::string_view BlockOutcomeName(BlockOutcome outcome) {
  return kBlockOutcomeNames[outcome];
}

// Why a message on a listener has no stream. Metric label values.
enum class UnknownTopic : uint8_t {
  kNoIdentity,     // not kv@<pod>@<model>, or its replay endpoint cannot be one
  kListenerLimit,  // beyond the listener's max_discovered_streams
  kMaxStreams,     // beyond max_streams
  kNotWanted,      // its worker exists already
};
inline constexpr auto kUnknownTopicNames = NamesUpTo<UnknownTopic::kNotWanted>(
    "no_identity", "listener_limit", "max_streams", "not_wanted");
inline constexpr size_t kUnknownTopicCount = kUnknownTopicNames.size();
inline std::string_view UnknownTopicName(UnknownTopic reason) { return kUnknownTopicNames[reason]; }

enum class ReplayResult : uint8_t { kComplete, kTrimmed, kTimeout, kHole, kFailed };
inline constexpr auto kReplayResultNames =
    NamesUpTo<ReplayResult::kFailed>("complete", "trimmed", "timeout", "hole", "failed");
inline constexpr size_t kReplayResultCount = kReplayResultNames.size();
inline std::string_view ReplayResultName(ReplayResult result) { return kReplayResultNames[result]; }

inline void Increment(std::atomic<uint64_t>* counter, uint64_t by = 1) {
  counter->fetch_add(by, std::memory_order_relaxed);
}

// Process-wide totals of the ingest path: relaxed atomics, read by telemetry at scrape time.
struct IngestCounters {
  using Counter = std::atomic<uint64_t>;
  // [engine][type][outcome]
  std::array<std::array<std::array<Counter, kEventOutcomeCount>, kEventTypeCount>, kEngineKindCount>
      events{};
  std::array<std::array<Counter, kBlockOutcomeCount>, kEngineKindCount> blocks{};
  std::array<Counter, kDecodeReasonCount> skipped_events{};
  std::array<Counter, kDecodeReasonCount> rejected_batches{};
  Counter batches{0};
  Counter payload_bytes{0};
  // wrong frame count, or a sequence frame that is not 8 bytes or is the end marker
  Counter malformed_messages{0};
  Counter duplicate_batches{0};
  Counter gaps{0};
  Counter missing_batches{0};
  Counter restarts{0};
  std::array<Counter, kReplayResultCount> replays{};
  std::array<Counter, kUnknownTopicCount> unknown_topics{};  // messages
  Counter expired_streams{0};      // discovered once, their connection lost, silent for too long
  LatencyHistogram apply_latency;  // one batch: received to visible
  LatencyHistogram publish_lag;    // one batch: the engine's time stamp to visible (wall clocks;
                                   // negative counts as 0)
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_INGEST_COUNTERS_H_
