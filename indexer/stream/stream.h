#ifndef KVROUTE_INDEXER_STREAM_STREAM_H_
#define KVROUTE_INDEXER_STREAM_STREAM_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "indexer/base/connect_trouble.h"
#include "indexer/base/enum_names.h"
#include "indexer/event/decoder.h"
#include "indexer/event/event.h"
#include "indexer/index/prefix_index.h"
#include "indexer/stream/first_rank.h"

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
  kNoReplay,         // joined late or lost batches, and no replay is configured
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
  kNoFullAttention,    // only other KV-cache groups were heard of, and those are not indexed
  kHiddenKeys,         // the engine tells blocks apart by something that it does not publish
  kUnknownEvent,       // an event of a type we do not know may have removed or moved blocks
  kUnknownMedium,      // blocks are in a medium of which we do not know what tier it is
  kUnplaceable,        // blocks are held of which it cannot be told where in a prompt they stand
  // Of one prompt, never of a stream:
  kKeysNotPublished,  // it has a salt, image or adapter; the engine may not say which blocks do
  kPromptBlocks,      // too many blocks of this size: not compared
  kOtherHashes,       // its hashes are not those of this engine's blocks
  kDisconnected,
  kEngineRestarted,
  kMemoryLimit,  // the index is at its limit: the stream was cut back, its matches are lower bounds
  // What is known is complete, but of what the engine says live nothing is understood or heard.
  kMalformedMessages,  // its live messages have other frames or numbers than ours
  kTopicMismatch,      // it publishes under another topic than the one subscribed to
  kLiveSilent,         // its replays grow and its live messages do not come
  kReplayQueued,       // its past is to be replayed, and others' are before it
};
inline constexpr auto kTrustReasonNames = NamesUpTo<TrustReason::kReplayQueued>(
    "none", "connecting", "replaying", "replay_complete", "cleared_by_engine", "no_replay",
    "replay_trimmed", "replay_timeout", "replay_hole", "hold_overflow", "decode_errors",
    "pending_overflow", "hash_conflict", "rank_mismatch", "identity_conflict",
    "block_size_mismatch", "no_full_attention", "hidden_keys", "unknown_event", "unknown_medium",
    "unplaceable", "keys_not_published", "prompt_blocks", "other_hashes", "disconnected",
    "engine_restarted", "memory_limit", "malformed_messages", "topic_mismatch", "live_silent",
    "replay_queued");
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
  // The data-parallel rank that its batches must name, if they name any. nullopt: it is learned
  // from the first that does, because a worker may have any ranks of a deployment that is spread
  // over workers; `first_rank` is what has been learned of its other streams.
  std::optional<uint32_t> published_rank;
  SharedFirstRank first_rank;
  EngineKind engine = EngineKind::kAuto;
  std::optional<CopyMode> copies;  // nullopt: by engine (SGLang a set, all others counted)
  uint32_t block_size_tokens = 0;  // 0: learned from the first event
  // EAGLE: blocks are hashed over their tokens and the one that follows. False: learned whether
  // and how many.
  bool bigram = false;
  std::string event_endpoint;   // "tcp://10.0.0.7:5557": connect to it
  std::string replay_endpoint;  // empty: the engine has no replay socket
  std::string topic;            // subscription prefix; empty: all
  CurveKeys curve;
  // A client of the API or a publisher said where: it may be in some networks only.
  bool named_by_client = false;

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
  std::atomic<TrustReason> reason{TrustReason::kConnecting};
  std::atomic<bool> connected{false};
  // Its blocks are told apart by the identifiers of their multimodal inputs, not by their places.
  std::atomic<bool> bare_inputs{false};
  std::atomic<uint32_t> block_size_tokens{0};  // learned; 0: not yet
  std::atomic<uint32_t> lookahead_tokens{0};   // the same: how many behind a block its hash covers
  // Bits of KeyKind: which the engine would not name if its blocks had them. None before it has
  // stored anything.
  std::atomic<uint8_t> unnamed_keys{0};

  std::atomic<int64_t> trust_changed_unix_ns{0};
  std::atomic<int64_t> last_batch_unix_ns{0};  // when the last batch was applied; 0: never
  // The engine answered, and the handshake failed: wrong CURVE keys, or no ZeroMQ behind the port.
  std::atomic<uint64_t> refused_handshakes{0};
  std::atomic<ConnectTrouble> connect_trouble{ConnectTrouble::kNone};  // while not connected

  std::atomic<uint64_t> batches{0};
  std::atomic<uint64_t> duplicates{0};  // batches seen before
  std::atomic<uint64_t> gaps{0};
  std::atomic<uint64_t> missing_batches{0};  // numbers skipped by those gaps
  std::atomic<uint64_t> lost_batches{0};     // for good: no replay has brought them
  std::atomic<uint64_t> malformed_messages{0};
  // (block, tier) memberships that the stream is believed to hold, now; those of them that were not
  // heard of since batches were lost, so that no more than these can be wrong; and how many
  // probably are.
  std::atomic<uint64_t> holdings{0};
  std::atomic<uint64_t> unconfirmed_holdings{0};
  std::atomic<uint64_t> doubtful_holdings{0};
  std::atomic<uint64_t> restarts{0};
  std::atomic<uint64_t> replays{0};
  std::atomic<uint64_t> pending_events{0};  // now
  std::atomic<uint64_t> held_batches{0};    // now
  std::array<std::atomic<uint64_t>, kDecodeReasonCount> skipped_events{};
  std::array<std::atomic<uint64_t>, kDecodeReasonCount> rejected_batches{};
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_STREAM_H_
