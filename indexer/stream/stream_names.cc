#include <array>

#include "indexer/stream/ingest_counters.h"
#include "indexer/stream/stream.h"

namespace kvroute {

std::string_view TrustName(Trust trust) {
  constexpr std::array<std::string_view, kTrustCount> kNames = {"cold", "syncing", "exact",
                                                                "degraded", "stale"};
  return kNames[static_cast<size_t>(trust)];
}

std::string_view TrustReasonName(TrustReason reason) {
  constexpr std::array<std::string_view, kTrustReasonCount> kNames = {"none",
                                                                      "connecting",
                                                                      "replaying",
                                                                      "replay_complete",
                                                                      "cleared_by_engine",
                                                                      "no_replay",
                                                                      "replay_trimmed",
                                                                      "replay_timeout",
                                                                      "replay_hole",
                                                                      "hold_overflow",
                                                                      "decode_errors",
                                                                      "pending_overflow",
                                                                      "hash_conflict",
                                                                      "rank_mismatch",
                                                                      "identity_conflict",
                                                                      "block_size_mismatch",
                                                                      "disconnected",
                                                                      "engine_restarted"};
  return kNames[static_cast<size_t>(reason)];
}

std::string_view EventOutcomeName(EventOutcome outcome) {
  constexpr std::array<std::string_view, kEventOutcomeCount> kNames = {
      "applied",     "pending",      "pending_dropped", "other_group",
      "unplaceable", "unknown_tier", "block_size",      "extra_keys"};
  return kNames[static_cast<size_t>(outcome)];
}

std::string_view BlockOutcomeName(BlockOutcome outcome) {
  constexpr std::array<std::string_view, kBlockOutcomeCount> kNames = {
      "added", "duplicate", "rebound", "removed", "copies_left", "unknown", "cleared"};
  return kNames[static_cast<size_t>(outcome)];
}

std::string_view UnknownTopicName(UnknownTopic reason) {
  constexpr std::array<std::string_view, kUnknownTopicCount> kNames = {
      "no_identity", "listener_limit", "max_streams", "not_wanted"};
  return kNames[static_cast<size_t>(reason)];
}

std::string_view ReplayResultName(ReplayResult result) {
  constexpr std::array<std::string_view, kReplayResultCount> kNames = {"complete", "trimmed",
                                                                       "timeout", "hole", "failed"};
  return kNames[static_cast<size_t>(result)];
}

}  // namespace kvroute
