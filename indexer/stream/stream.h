#ifndef KVROUTE_INDEXER_STREAM_STREAM_H_
#define KVROUTE_INDEXER_STREAM_STREAM_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "indexer/base/enum_names.h"
#include "indexer/event/decoder.h"
#include "indexer/event/event.h"
#include "indexer/index/prefix_index.h"

namespace kvroute {

// How far a stream's state may be believed.
enum class Trust : uint8_t {
  kCold,      // never heard from
  kSyncing,   // connected; its past is being replayed
  kExact,     // the state is complete from a known point on
  kDegraded,  // something was lost or could not be used; answers may be too high or too low
  kStale,     // the connection is down, or up again but not confirmed; the state is as of then
};
inline constexpr auto kTrustNames =
    NamesUpTo<Trust::kStale>("cold", "syncing", "exact", "degraded", "stale");
inline constexpr size_t kTrustCount = kTrustNames.size();
inline std::string_view TrustName(Trust trust) { return kTrustNames[trust]; }

// Why the trust is what it is; also metric label values.
enum class TrustReason : uint8_t {
  kNone,
  kConnecting,
  kReplaying,
  kReplayComplete,   // replayed from 0, or the first live batch was number 0
  kClearedByEngine,  // the engine said that it holds nothing: known from there on
  kNoReplay,         // joined late or lost batches, and no replay is configured: started empty
  kReplayTrimmed,    // the engine's replay buffer no longer has the start
  kReplayTimeout,
  kReplayHole,         // a number that the engine never sent, or that its replay keeps losing
  kHoldOverflow,       // more live batches came during a replay than may be held
  kDecodeErrors,       // events of this stream were skipped as malformed
  kPendingOverflow,    // stored events whose parent is unknown exceeded their bound
  kHashConflict,       // an engine hash was reused for other content
  kRankMismatch,       // batches named another data-parallel rank and were left out
  kIdentityConflict,   // two publishers use this stream's identity: its numbers interleave
  kBlockSizeMismatch,  // the engine's block size is not the configured one
  kDisconnected,
  kEngineRestarted,
};
inline constexpr auto kTrustReasonNames = NamesUpTo<TrustReason::kEngineRestarted>(
    "none", "connecting", "replaying", "replay_complete", "cleared_by_engine", "no_replay",
    "replay_trimmed", "replay_timeout", "replay_hole", "hold_overflow", "decode_errors",
    "pending_overflow", "hash_conflict", "rank_mismatch", "identity_conflict",
    "block_size_mismatch", "disconnected", "engine_restarted");
inline constexpr size_t kTrustReasonCount = kTrustReasonNames.size();
inline std::string_view TrustReasonName(TrustReason reason) { return kTrustReasonNames[reason]; }

struct CurveKeys {  // ZeroMQ CURVE, Z85 text of 40 characters each; all empty: no encryption
  std::string server_public;
  std::string client_public;
  std::string client_secret;

  bool operator==(const CurveKeys&) const = default;
};

// What to subscribe to and how to read it.
struct StreamConfig {
  std::string worker_id;
  uint32_t rank = 0;
  // The data-parallel rank that its batches must name, if they name any. nullopt: whichever they
  // name first, because a worker of one rank may be any rank of a deployment that is spread over
  // workers.
  std::optional<uint32_t> published_rank;
  EngineKind engine = EngineKind::kAuto;
  std::optional<CopyMode> copies;  // nullopt: by engine (SGLang a set, all others counted)
  uint32_t block_size_tokens = 0;  // 0: learned from the first event
  // SGLang with EAGLE: blocks are hashed over their tokens and the one that follows
  bool bigram = false;
  std::string event_endpoint;   // "tcp://10.0.0.7:5557": connect to it
  std::string replay_endpoint;  // empty: the engine has no replay socket
  std::string topic;            // subscription prefix; empty: all
  CurveKeys curve;

  bool operator==(const StreamConfig&) const = default;
};

// Counted unless the configuration says otherwise or the engine's tree keeps one copy of a prefix
// (SGLang).
inline CopyMode CopyModeOf(const StreamConfig& config) {
  const bool set = config.engine == EngineKind::kSglang;
  return config.copies.value_or(set ? CopyMode::kSet : CopyMode::kCounted);
}

// What one stream is doing, written by its lane and read by anybody. Each member is consistent in
// itself.
//
// `next_seq` is stored after the batch is visible in the index: a reader that loads it before a
// query knows that the answer reflects every batch below it.
struct StreamStatus {
  StreamConfig config;
  StreamId id;

  // What every query reads, on one cache line.
  alignas(64) std::atomic<uint64_t> next_seq{0};  // expected next; 0 before the first batch
  std::atomic<Trust> trust{Trust::kCold};
  std::atomic<TrustReason> reason{TrustReason::kNone};
  std::atomic<bool> connected{false};
  std::atomic<uint32_t> block_size_tokens{0};  // learned; 0: not yet

  std::atomic<int64_t> trust_changed_unix_ns{0};
  std::atomic<int64_t> last_batch_unix_ns{0};  // when the last batch was applied; 0: never
  // The engine answered, and the handshake failed: wrong CURVE keys, or no ZeroMQ behind the port.
  std::atomic<uint64_t> refused_handshakes{0};

  std::atomic<uint64_t> batches{0};
  std::atomic<uint64_t> duplicates{0};  // batches seen before
  std::atomic<uint64_t> gaps{0};
  std::atomic<uint64_t> missing_batches{0};  // numbers skipped by those gaps
  std::atomic<uint64_t> restarts{0};
  std::atomic<uint64_t> replays{0};
  std::atomic<uint64_t> pending_events{0};  // now
  std::atomic<uint64_t> held_batches{0};    // now
  std::array<std::atomic<uint64_t>, kDecodeReasonCount> skipped_events{};
  std::array<std::atomic<uint64_t>, kDecodeReasonCount> rejected_batches{};
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_STREAM_H_
