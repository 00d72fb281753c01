#ifndef KVROUTE_TOOLS_CORPUS_CORPUS_BUILDER_H_
#define KVROUTE_TOOLS_CORPUS_CORPUS_BUILDER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "tools/corpus/corpus_placement.h"
#include "tools/corpus/corpus_pool.h"
#include "tools/corpus/corpus_writer.h"
#include "tools/workload/random.h"
#include "tools/workload/trace.h"

namespace kvroute {

enum class CorpusHashScheme : uint8_t {
  kPrefix,     // an engine hash is the prefix hash: all workers agree
  kPerWorker,  // a bijection of it that differs between workers
};

struct CorpusOptions {
  uint32_t workers = 16;
  uint32_t blocks_per_worker = 16'384;
  // Of each worker's pools of slower tiers; 0: it has none, and what is evicted is gone. With 0.42
  // and 0.25 of blocks_per_worker 40 % of all holdings are there.
  uint32_t cpu_blocks_per_worker = 0;
  uint32_t disk_blocks_per_worker = 0;
  uint32_t block_size_tokens = 16;  // at most kTraceBlockTokens
  uint32_t duplication = 1;         // copies of the trace with disjoint hashes
  uint32_t length_factor = 1;       // blocks that one id of the trace becomes
  // How engines publish: a prompt in steps of so many blocks, one every step_ms, and then what is
  // decoded, a token every token_ms, block by block; the requests under way in turns. 0: a prompt
  // at once, and nothing of what is decoded.
  uint32_t store_blocks = 16;
  uint32_t step_ms = 50;
  uint32_t token_ms = 20;
  uint64_t seed = 1;
  uint64_t window_ns = 60'000'000'000;  // the trace's span is scaled to it
  CorpusPlacementPolicy placement = CorpusPlacementPolicy::kRandom;
  CorpusHashScheme hash_scheme = CorpusHashScheme::kPrefix;
  // The chance that a request meets each of these on its worker.
  double holes = 0;       // a cached block of its prompt, not the last one, is evicted out of turn
  double duplicates = 0;  // up to four blocks that are cached are computed again, as further copies
  double restarts = 0;  // the worker restarts first: it holds nothing and numbers its events from 0
  double clears = 0;    // the worker's cache is reset first
};

// Plays a trace on a fleet of block pools and writes what a router would see: for each request one
// query, then the events of its worker: what was evicted for it, what it stored. What it stores at
// once bears its own deadline: within one all queries come first, then the events by worker. Its
// further steps bear later ones. A request that finds all blocks in use ends early; what is under
// way when the last one of the trace has come is left there.
//
// A worker with slower tiers offloads what it evicts: each tier's blocks go into the next one's
// pool before they are removed. What it finds there it still computes, or loads: both store it in
// gpu.
//
// A trace id becomes `length_factor` blocks of `block_size_tokens` tokens, whatever number of
// tokens the id stood for: that is how the public harnesses stretch a trace. Of what it decodes the
// same share of kTraceBlockTokens is a block, and no other prompt has it. The same options and
// trace give the same bytes.
class CorpusBuilder {
 public:
  CorpusBuilder(const CorpusOptions& options, CorpusWriter* writer);

  // `trace` sorted by time. `progress` is told now and then how many of its requests are done.
  void Play(absl::Span<const TraceRequest> trace, const std::function<void(size_t)>& progress);

  CorpusHeader Header(std::string trace_path) const;

 private:
  struct Request {
    uint32_t worker = 0;
    std::vector<LocalHash> locals;
    std::vector<PrefixHash> chain;
    size_t decoded_blocks = 0;  // to come behind the chain
  };
  // One that has begun.
  struct Running {
    Request request;
    size_t prompt_blocks = 0;  // ... and what it has decoded
    uint32_t life = 0;         // of its worker
    CorpusPool::Use use;
    size_t done = 0;  // blocks that it reuses or has computed
  };
  struct Worker {
    explicit Worker(const CorpusOptions& options);
    void Clear();
    CorpusPool pool;
    std::map<Tier, CorpusPool> slower;
    uint64_t next_event_id = 0;
    uint32_t life = 0;  // becomes more when all that is under way ends
  };
  // What an event about a block must say that was evicted long after its request.
  struct Block {
    LocalHash local;
    std::optional<PrefixHash> parent;
  };

  void PlayMoment(absl::Span<const TraceRequest> requests, uint64_t now_ms);
  uint64_t DeadlineOf(uint64_t ms) const;
  // All steps that are due by then.
  void PlaySteps(uint64_t until_ms);
  Request Expand(const TraceRequest& request, uint32_t copy) const;
  void Serve(Request request, uint64_t now_ms);
  uint64_t DueAfter(const Running& running, uint64_t now_ms) const;
  // Computes and publishes the next blocks of a request. False: it has ended.
  bool Step(Running* running, uint64_t now_ms);
  void Decode(Request* request);
  void EmitCleared(Worker* worker, CorpusOperation op);
  void EmitRemoved(Worker* worker, CorpusOperation op, absl::Span<const PrefixHash> blocks);
  void EmitStored(Worker* worker, CorpusOperation op, const Request& request, size_t first,
                  size_t end);
  // Into that tier what is evicted from the one above, children before their parents.
  void Offload(Worker* worker, CorpusOperation op, Tier tier, absl::Span<const PrefixHash> blocks);
  // An event for each part that is consecutive blocks of one prompt.
  void EmitCopies(Worker* worker, CorpusOperation op, absl::Span<const PrefixHash> blocks);
  EngineHash ToEngine(uint64_t worker, PrefixHash block) const;
  void ToEngine(uint64_t worker, absl::Span<const PrefixHash> blocks);
  bool Chance(double probability) { return probability > 0 && random_.Uniform() < probability; }

  const CorpusOptions options_;
  CorpusWriter* const writer_;
  SeededRandom random_;
  CorpusPlacement placement_;
  std::vector<Worker> workers_;
  uint64_t ids_per_copy_ = 0;
  uint64_t span_ms_ = 1;
  uint64_t decoded_ = 0;  // blocks so far
  // By when its next step is due, and in the order in which that was found out.
  std::map<std::pair<uint64_t, uint64_t>, Running> under_way_;
  uint64_t steps_ = 0;
  std::vector<Request> moment_;
  std::vector<PrefixHash> evicted_;
  absl::flat_hash_map<PrefixHash, Block> blocks_;  // of all requests; with slower tiers only
  std::vector<EngineHash> engine_hashes_;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_CORPUS_CORPUS_BUILDER_H_
