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
// behind a block, that its hash covers
inline constexpr uint32_t kMaxLookaheadTokens = 64;
// items that tell one block from others of the same tokens: adapter, salt, images
inline constexpr size_t kMaxExtraKeysPerBlock = 4'096;
// What a batch takes decoded: so many times its bytes, and the slack
inline constexpr size_t kMaxDecodedBytesPerByte = 16;
inline constexpr size_t kDecodedSlackBytes = 65'536;

// What is kept for one stream outside the index.
// stored events whose parent is unknown
inline constexpr size_t kMaxPendingMemoryBytes = size_t{16} << 20;
// live batches held while a replay runs
inline constexpr size_t kMaxHeldBatches = 100'000;
inline constexpr size_t kMaxHeldMemoryBytes = size_t{256} << 20;
inline constexpr size_t kMaxGroupsPerStream = 1'024;  // KV-cache groups that are not indexed
// After a loss: holdings remembered as heard of since, and how much of what a stream holds may
// probably be wrong before it is forgotten.
inline constexpr size_t kMaxConfirmedHoldings = 1'000'000;
inline constexpr uint64_t kMaxDoubtfulPercent = 80;
// A number so much further than the one expected is no loss, but no number either.
inline constexpr uint64_t kMaxSequenceJump = uint64_t{1} << 32;
// A time stamp so far behind is one of a clock that was never set.
inline constexpr std::chrono::seconds kMaxPublishLag{3'600};
// what is remembered of blocks that were told apart by more than their tokens
inline constexpr size_t kMaxKeyedTokensBytes = size_t{64} << 10;
inline constexpr uint32_t kMaxChunkPieces = 256;  // blocks of the stream's size in one of another
inline constexpr size_t kMaxMedia = 64;           // names of media that a deployment adds

// What one request may ask.
inline constexpr size_t kMaxPromptTokens = 4'194'304;
inline constexpr size_t kMaxPromptBlocks = 262'144;
inline constexpr size_t kMaxHashProfiles = 16;  // ways in which one model's workers hash prompts
inline constexpr size_t kMaxCandidates = 10'000;
inline constexpr size_t kMaxRequestIdBytes = 256;
inline constexpr size_t kMaxMultimodalInputs = 4'096;
inline constexpr uint32_t kMaxRunnerUps = 1'024;
// Endpoints whose scores a gateway is told, the picked one included.
inline constexpr uint32_t kMaxToldScores = 64;
// Names in picker.sheddable_objectives.
inline constexpr size_t kMaxObjectives = 256;
inline constexpr size_t kMaxExplainedHashes = 64;

// A request's body as text.
inline constexpr size_t kMaxScoredBodyBytes = size_t{32} << 20;  // a larger one is not read
inline constexpr size_t kMaxBodyFields = 1'024;                  // of one object of it

// Renderers.
inline constexpr size_t kMaxRenders = 256;                         // under way at a time
inline constexpr size_t kMaxRendersPerRenderer = 32;               // of them
inline constexpr size_t kMaxRenderBytes = size_t{256} << 20;       // of what they were sent
inline constexpr size_t kMaxRenderReplyBytes = size_t{16} << 20;   // one answer
inline constexpr size_t kMaxProbeReplyBytes = 65'536;              // to a probe
inline constexpr size_t kMaxRenderMemoryBytes = size_t{64} << 20;  // of what is remembered
inline constexpr size_t kMaxRendererUrls = 1'024;                  // in the configuration
inline constexpr size_t kMaxTextChunks = 1'048'576;                // of texts' prefixes remembered
inline constexpr size_t kMaxInFlightPieces = 65'536;               // of prompts not computed yet
inline constexpr size_t kMaxUsageTailBytes = 65'536;               // of a response, unread

// The gRPC edge.
inline constexpr int kMaxGrpcThreads = 2;  // for calls that take long
inline constexpr size_t kMaxGrpcConnections = 4'096;
inline constexpr size_t kMaxGrpcMemoryBytes = size_t{1} << 30;
// kMaxPromptTokens x 4 bytes, twice
inline constexpr size_t kMaxGrpcMessageBytes = size_t{32} << 20;
inline constexpr uint32_t kMaxGrpcStreams = 256;    // RouteStream and ScoreStream calls
inline constexpr size_t kMaxCallsUnderWay = 1'024;  // of each unary method; further ones wait
// beside its open streams; the client holds further ones back
inline constexpr int kMaxCallsPerConnection = 1'024;
// answers that a connection has not taken: beyond them it has 300 ms, not grpc.write_timeout
inline constexpr uint32_t kMaxUnsentPerConnection = 256;
inline constexpr uint64_t kMaxCancelledCallsPerSecond = 2'000;  // of one connection
// a longer request is answered on a thread of its own
inline constexpr size_t kMaxShortMessageBytes = 65'536;
inline constexpr size_t kMaxLongCallsPerConnection = 64;        // that wait for such a thread
inline constexpr size_t kMaxLongCallBytes = size_t{256} << 20;  // theirs, of all connections
inline constexpr uint32_t kMaxHealthWatchers = 16'384;          // grpc.health.v1.Health.Watch
inline constexpr size_t kMaxReflectionStreams = 64;
inline constexpr std::chrono::seconds kReflectionIdle{60};

// The endpoint picker.
inline constexpr size_t kMaxBodyBytes = size_t{16} << 20;      // of a request, kept to be read
inline constexpr size_t kMaxShortBodyBytes = size_t{1} << 20;  // a longer one: on another thread
inline constexpr uint32_t kMaxPickerStreams = 16'384;          // HTTP requests under way
inline constexpr size_t kMaxPickerConnections = 1'024;         // of proxies and probes

// The HTTP listener.
inline constexpr size_t kMaxHttpConnections = 512;
inline constexpr size_t kMaxHttpUnsentBytes = size_t{64} << 20;  // answers that nobody reads

// The HTTP client.
inline constexpr size_t kMaxHttpTransfers = 16'384;         // open at a time
inline constexpr size_t kMaxHttpClientConnections = 4'096;  // further transfers wait for one
inline constexpr size_t kMaxHttpConnectionsPerHost = 64;
// of one body, unless who asks says otherwise; of all that are not whole yet
inline constexpr size_t kMaxHttpReplyBytes = size_t{16} << 20;
inline constexpr size_t kMaxHttpRepliesBytes = size_t{128} << 20;
inline constexpr size_t kMaxHttpHeaderBytes = size_t{64} << 10;
inline constexpr size_t kMaxHttpUrlBytes = 8'192;
inline constexpr size_t kMaxHttpNames = 4'096;  // hosts whose addresses are remembered

// How long a thread that has work may make no progress before /healthz says so.
inline constexpr std::chrono::seconds kThreadStallAfter{10};

// Where events come from.
// of a lane, under way at a time; further ones wait for their turn
inline constexpr size_t kMaxReplaysPerLane = 16;
// file descriptors left to everything but engines' sockets, most to kMaxGrpcConnections; or three
// eighths where there are few
inline constexpr size_t kReservedDescriptors = 10'240;
inline constexpr size_t kMaxDials = 32;           // engines sought at a time; further ones wait
inline constexpr size_t kMaxNameLookups = 16;     // names asked for at a time
inline constexpr size_t kMaxAddressesOfName = 8;  // tried of one name
// What an engine says of its load: messages that wait on its socket, and the bytes of one.
inline constexpr int kMaxQueuedLoads = 16;
inline constexpr size_t kMaxLoadBytes = 4'096;

// Who looks for engines, and asks them.
inline constexpr size_t kMaxKubePageBytes = size_t{64} << 20;  // one page of a list
inline constexpr size_t kMaxKubeLineBytes = size_t{4} << 20;   // one object of a watch
inline constexpr size_t kMaxKubeObjects = 65'536;              // pods of a pool or selector
// What a namespace says of requests: InferenceObjectives, InferenceModelRewrites, each; and the
// models that the latter lead to, counted once for each rule and name.
inline constexpr size_t kMaxRequestRules = 1'024;
inline constexpr size_t kMaxRewriteTargets = 4'096;
inline constexpr size_t kMaxEndpointFileBytes = size_t{1} << 20;
inline constexpr size_t kMaxDnsNames = 256;
inline constexpr size_t kMaxModelListBytes = size_t{1} << 20;    // /v1/models of an engine
inline constexpr size_t kMaxServedNames = 64;                    // of one model of an engine
inline constexpr size_t kMaxAdapters = 1'024;                    // LoRA adapters of an engine
inline constexpr size_t kMaxMetricsPageBytes = size_t{4} << 20;  // /metrics of an engine
inline constexpr size_t kMaxEngineRanks = 1'024;                 // told apart on such a page

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
inline constexpr size_t kMaxConfigNodes = 1'000'000;     // values and keys, aliases expanded
inline constexpr size_t kMaxConfigAliasNodes = 100'000;  // of them by anchors and aliases
inline constexpr size_t kMaxConfigDepth = 32;            // of values in values, aliases expanded
inline constexpr size_t kMaxConfigKeys = 256;            // of one map
inline constexpr size_t kMaxConfigGapBytes = size_t{512} << 10;  // of text without a value
inline constexpr size_t kMaxConfigErrorBytes = 1'024;
inline constexpr size_t kMaxKeyFileBytes = 65'536;  // a certificate chain or key
inline constexpr size_t kMaxListeners = 64;

// What a trace file may say.
inline constexpr uint64_t kMaxTraceTimestampMs = uint64_t{1'000} * 86'400 * 365;  // a year

}  // namespace kvroute::limits

#endif  // KVROUTE_INDEXER_BASE_LIMITS_H_
