#ifndef KVROUTE_INDEXER_STREAM_INGEST_COUNTERS_H_
#define KVROUTE_INDEXER_STREAM_INGEST_COUNTERS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "indexer/base/busy_counters.h"
#include "indexer/base/enum_names.h"
#include "indexer/base/latency_histogram.h"
#include "indexer/event/decoder.h"
#include "indexer/event/event.h"

namespace kvroute {

// What became of an event that decoded well. Metric label values.
enum class EventOutcome : uint8_t {
  kApplied,
  kPending,  // its parent is unknown; kept for when it comes
  // its parent is unknown and there is no room for it, or for one that came before it and was
  // counted as pending
  kPendingDropped,
  kOtherGroup,   // a KV-cache group that is not full attention
  kUnplaceable,  // no tokens and no known block: cannot be matched to a prompt
  kUnknownTier,
  kBlockSize,    // not the stream's block size
  kExtraKeys,    // its extra keys are not one entry a block: at most a copy of blocks held
  kMemoryLimit,  // the index has no room for all its blocks, or had none for their parent
};
inline constexpr auto kEventOutcomeNames = NamesUpTo<EventOutcome::kMemoryLimit>(
    "applied", "pending", "pending_dropped", "other_group", "unplaceable", "unknown_tier",
    "block_size", "extra_keys", "memory_limit");
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
  kAdopted,  // held though the batch that stored it was lost: another stream knows its content
  kCutBack,  // held, and given up for others where the index is at its limit
  kNoRoom,   // left out there
};
inline constexpr auto kBlockOutcomeNames =
    NamesUpTo<BlockOutcome::kNoRoom>("added", "duplicate", "rebound", "removed", "copies_left",
                                     "unknown", "cleared", "adopted", "cut_back", "no_room");
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
  kDescriptors,    // there is no file descriptor left for its connection
};
inline constexpr auto kUnknownTopicNames = NamesUpTo<UnknownTopic::kDescriptors>(
    "no_identity", "listener_limit", "max_streams", "not_wanted", "descriptors");
inline constexpr size_t kUnknownTopicCount = kUnknownTopicNames.size();
inline std::string_view UnknownTopicName(UnknownTopic reason) { return kUnknownTopicNames[reason]; }

// How a replay ended. interrupted: the engine restarted or its connection was lost meanwhile; what
// it was asked for is moot, or asked for again on the next connection. No loss by itself.
enum class ReplayResult : uint8_t { kComplete, kTrimmed, kTimeout, kHole, kInterrupted };
inline constexpr auto kReplayResultNames =
    NamesUpTo<ReplayResult::kInterrupted>("complete", "trimmed", "timeout", "hole", "interrupted");
inline constexpr size_t kReplayResultCount = kReplayResultNames.size();
inline std::string_view ReplayResultName(ReplayResult result) { return kReplayResultNames[result]; }

// What became of a stream's state when batches were lost for good. Metric label values.
enum class LossOutcome : uint8_t { kKept, kForgotten, kEmpty };
inline constexpr auto kLossOutcomeNames =
    NamesUpTo<LossOutcome::kEmpty>("kept", "forgotten", "empty");
inline constexpr size_t kLossOutcomeCount = kLossOutcomeNames.size();
inline std::string_view LossOutcomeName(LossOutcome outcome) { return kLossOutcomeNames[outcome]; }

inline void Increment(std::atomic<uint64_t>* counter, uint64_t by = 1) {
  counter->fetch_add(by, std::memory_order_relaxed);
}

// Process-wide totals of the ingest path: relaxed atomics, read by telemetry at scrape time.
struct IngestCounters {
  using Counter = std::atomic<uint64_t>;
  // What every batch adds to. EventCounter and BlockCounter say which.
  BusyCounters<kEngineKindCount * kEventTypeCount * kEventOutcomeCount> events;
  BusyCounters<kEngineKindCount * kBlockOutcomeCount> blocks;
  static constexpr size_t EventCounter(EngineKind engine, EventType type, EventOutcome outcome) {
    return (static_cast<size_t>(engine) * kEventTypeCount + static_cast<size_t>(type)) *
               kEventOutcomeCount +
           static_cast<size_t>(outcome);
  }
  static constexpr size_t BlockCounter(EngineKind engine, BlockOutcome outcome) {
    return static_cast<size_t>(engine) * kBlockOutcomeCount + static_cast<size_t>(outcome);
  }
  uint64_t Events(EngineKind engine, EventType type, EventOutcome outcome) const {
    return events.Of(EventCounter(engine, type, outcome));
  }
  uint64_t Blocks(EngineKind engine, BlockOutcome outcome) const {
    return blocks.Of(BlockCounter(engine, outcome));
  }
  std::array<Counter, kDecodeReasonCount> skipped_events{};
  std::array<Counter, kDecodeReasonCount> rejected_batches{};
  Counter batches{0};
  Counter payload_bytes{0};
  // wrong frame count, or a sequence frame that is not 8 bytes or is the end marker
  Counter malformed_messages{0};
  Counter duplicate_batches{0};
  Counter gaps{0};
  Counter missing_batches{0};
  std::array<Counter, kLossOutcomeCount> losses{};
  Counter lost_batches{0};
  Counter restarts{0};
  std::array<Counter, kReplayResultCount> replays{};
  std::array<Counter, kUnknownTopicCount> unknown_topics{};  // messages
  Counter implausible_times{0};  // batches whose time stamp is none, or over kMaxPublishLag old
  Counter expired_streams{0};    // discovered once, their connection lost, silent for too long
  // Streams and replays for which there was no file descriptor.
  Counter refused_for_descriptors{0};
  Counter descriptors_taken{0};    // now, as counted before they are opened
  Counter replays_running{0};      // now
  Counter replays_waiting{0};      // now, for their turn
  LatencyHistogram apply_latency;  // one batch: received to visible
  LatencyHistogram publish_lag;    // one batch: the engine's time stamp to visible (wall clocks;
                                   // negative counts as 0)
  LatencyHistogram turn_duration;  // of a lane, without its wait
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_INGEST_COUNTERS_H_
