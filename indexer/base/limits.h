#ifndef KVROUTE_INDEXER_BASE_LIMITS_H_
#define KVROUTE_INDEXER_BASE_LIMITS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>

// Every limit of kvroute in one place; docs/limits.md says what lies beyond each (a test compares
// the two). One that a person may set is the default of a configuration field of the same name:
// kMaxGrpcMemoryBytes of grpc.max_memory.
namespace kvroute::limits {

// What one stream may send.
inline constexpr size_t kMaxPayloadBytes = size_t{64} << 20;  // one batch
inline constexpr uint32_t kMaxBlockSizeTokens = 1u << 20;     // block_size of one event
inline constexpr uint32_t kMaxRank = 65'535;                  // data-parallel rank of a batch
inline constexpr size_t kMaxNamespaceBytes = 1'024;           // LoRA name, cache salt
inline constexpr size_t kMaxTopicBytes = 1'024;
inline constexpr size_t kMaxSkipDepth = 64;  // nesting of values that are skipped

// What is kept for one stream outside the index.
// stored events whose parent is unknown
inline constexpr size_t kMaxPendingMemoryBytes = size_t{16} << 20;
// live batches held while a replay runs
inline constexpr size_t kMaxHeldBatches = 100'000;
inline constexpr size_t kMaxHeldMemoryBytes = size_t{256} << 20;
inline constexpr size_t kMaxGroupsPerStream = 1'024;  // KV-cache groups that are not indexed

// What one request may ask.
inline constexpr size_t kMaxPromptTokens = 4'194'304;
inline constexpr size_t kMaxPromptBlocks = 262'144;
inline constexpr size_t kMaxCandidates = 10'000;
inline constexpr size_t kMaxRequestIdBytes = 256;
inline constexpr size_t kMaxMultimodalInputs = 4'096;
inline constexpr uint32_t kMaxRunnerUps = 1'024;
inline constexpr size_t kMaxExplainedHashes = 64;

// The gRPC edge.
inline constexpr int kMaxGrpcThreads = 512;
inline constexpr size_t kMaxGrpcMemoryBytes = size_t{1} << 30;
// kMaxPromptTokens x 4 bytes, twice
inline constexpr size_t kMaxGrpcMessageBytes = size_t{32} << 20;
inline constexpr uint32_t kMaxGrpcStreams = 256;    // RouteStream and ScoreStream calls
inline constexpr size_t kMaxCallsUnderWay = 1'024;  // of each unary method; further ones wait
// beside its open streams; the client holds further ones back
inline constexpr int kMaxCallsPerConnection = 1'024;
// grpc.health.v1.Health.Watch; each holds a thread
inline constexpr uint32_t kMaxHealthWatchers = 64;

// The HTTP listener.
inline constexpr size_t kMaxHttpConnections = 512;
inline constexpr size_t kMaxHttpUnsentBytes = size_t{64} << 20;  // answers that nobody reads

// How long a lane may take no turn before /healthz says so: it takes one every 100 ms.
inline constexpr std::chrono::seconds kLaneStallAfter{10};

// The fleet.
inline constexpr size_t kMaxStreams = 16'384;
// of one listener: topics cost an engine nothing
inline constexpr size_t kMaxDiscoveredStreams = 4'096;
inline constexpr size_t kMaxRefusedTopics = 1'024;  // that a listener remembers
inline constexpr size_t kMaxWorkerIdBytes = 256;
inline constexpr size_t kMaxAddressBytes = 1'024;
inline constexpr size_t kMaxModelBytes = 512;
inline constexpr size_t kMaxEndpointBytes = 512;
inline constexpr uint32_t kMaxDataParallelSize = 1'024;
inline constexpr size_t kMaxLeases = 1'000'000;  // routed requests that have not ended

// The configuration file.
inline constexpr size_t kMaxConfigBytes = size_t{16} << 20;
inline constexpr size_t kMaxConfigNodes = 1'000'000;  // values, aliases expanded
inline constexpr size_t kMaxKeyFileBytes = 65'536;    // a certificate chain or key
inline constexpr size_t kMaxListeners = 64;

// What a trace file may say.
inline constexpr uint64_t kMaxTraceTimestampMs = uint64_t{1'000} * 86'400 * 365;  // a year

}  // namespace kvroute::limits

#endif  // KVROUTE_INDEXER_BASE_LIMITS_H_
