#ifndef KVROUTE_TOOLS_FLEET_ENGINE_H_
#define KVROUTE_TOOLS_FLEET_ENGINE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "indexer/base/clock.h"
#include "indexer/event/block_hasher.h"
#include "indexer/event/event.h"
#include "tools/fleet/engine_pool.h"

namespace kvroute {

struct EngineOptions {
  uint32_t block_size_tokens = 16;
  uint32_t capacity_blocks = 32'768;
  uint32_t max_batch_requests = 64;  // running at once
  // of all requests in one step: longer prompts are prefilled in chunks
  uint32_t max_step_tokens = 2'048;
  double prefill_tokens_per_second = 12'000;
  Nanos step_overhead = std::chrono::milliseconds(10);  // of every step
  // added for each decoding request of a step
  Nanos decode_per_request = std::chrono::microseconds(100);
  // Added for attention: for each pair of a prompt token that is computed and one that it looks at
  // (n tokens behind c are n * (c + n / 2) pairs), and for each token that a decoding request looks
  // at.
  double attention_ns_per_pair = 0;
  double decode_ns_per_context_token = 0;
  bool every_token = false;  // an outcome for each token; false: for the first and the last
};

// One request on its way through an engine.
template <typename Hash>
struct BasicEngineRequest {
  uint64_t number = 0;          // the driver's own
  std::vector<TokenId> tokens;  // the prompt, then the output that will be generated
  uint32_t unnamed_tokens = 0;  // how many they are, where nobody needs to know which: else 0
  std::vector<Hash> hashes;     // of all full blocks of `tokens`
  // what separates it from equal tokens; went into `hashes`
  std::string lora_name, cache_salt;
  uint32_t prompt_tokens = 0;  // at least 1, and fewer than TotalTokens()

  // The engine's.
  uint32_t generated_tokens = 0;
  uint32_t computed_tokens = 0;   // their KV is in `blocks`
  uint32_t scheduled_tokens = 0;  // of the step that runs
  uint32_t registered_blocks = 0;
  std::vector<BlockIndex> blocks;
  std::optional<uint32_t> cached_tokens;  // found in the cache when it was first scheduled

  uint32_t TotalTokens() const {
    return unnamed_tokens != 0 ? unnamed_tokens : static_cast<uint32_t>(tokens.size());
  }
};
using EngineRequest = BasicEngineRequest<Digest>;

// What a step brought forth for one request: a token.
struct StepOutcome {
  uint64_t number = 0;
  bool first_token = false;
  bool finished = false;
  uint32_t cached_tokens = 0;
  uint32_t generated_tokens = 0;  // so far
};

// One engine rank: vLLM's v1 scheduler over an EnginePool, with a timing model. Each step
// gives every running request its next decode token or the next chunk of its prompt, then admits
// waiting ones in order while the token budget, the batch limit and the free blocks allow. A
// request that finds no block takes those of the youngest running one, which is recomputed later.
// Stored blocks are announced when they are allocated, before the step computes them.
//
// Thread safety: one thread at a time. Ownership: `events` (may be nullptr) must outlive it.
template <typename Hash>
class BasicEngine {
 public:
  using Request = BasicEngineRequest<Hash>;
  using Pool = BasicEnginePool<Hash>;
  using Events = BasicCacheEvents<Hash>;

  BasicEngine(const EngineOptions& options, Announce announce, Events* events);

  void Submit(std::unique_ptr<Request> request);
  // Schedules the next step and returns how long it takes; nullopt when there is nothing to do. Not
  // while one runs.
  std::optional<Nanos> StartStep();
  // Ends it and appends what it brought forth.
  void EndStep(std::vector<StepOutcome>* outcomes);
  bool stepping() const { return !scheduled_.empty(); }

  // Forgets a request, in the middle of a step too: its client has gone away. What it has computed
  // stays in the cache. False: there is none of this number.
  bool Abort(uint64_t number);

  // Before the next step: every running request goes back to the queue and the cache is emptied
  // (vLLM's reset_prefix_cache with reset_running_requests).
  void ClearCacheAtNextStep() { clear_pending_ = true; }
  // The process died and came back: an empty pool that announces nothing of the old one, and all
  // requests sent again.
  void Restart();

  // Leading blocks of the chain that a request would find now.
  uint32_t CountResident(absl::Span<const Hash> chain) const { return pool_->CountResident(chain); }
  // Requests in the engine, waiting ones included.
  size_t request_count() const { return running_.size() + waiting_.size(); }
  size_t waiting_count() const { return waiting_.size(); }
  uint32_t used_blocks() const { return pool_->capacity_blocks() - pool_->free_blocks(); }
  uint64_t prefilled_tokens() const { return prefilled_tokens_; }
  uint64_t preemptions() const { return preemptions_; }
  // Whether a request of so many tokens in all can ever run.
  bool Fits(uint64_t tokens) const {
    return (tokens + options_.block_size_tokens - 1) / options_.block_size_tokens <=
           options_.capacity_blocks;
  }

 private:
  struct StepLoad {
    uint32_t tokens = 0;
    uint32_t prefill_tokens = 0;
    uint32_t decoding_requests = 0;
    double attention_pairs = 0;  // of prompt tokens
    double decode_context_tokens = 0;
  };

  std::unique_ptr<Pool> NewPool() const;
  Nanos DurationOf(const StepLoad& load) const;
  // Return whether somebody was preempted, and nothing, respectively.
  bool ScheduleRunning(StepLoad* load);
  void ScheduleWaiting(StepLoad* load);
  // Gives the request blocks for `count` more tokens and announces those that become full. False:
  // too few are free.
  bool Allocate(Request* request, uint32_t cached_blocks, uint32_t count);
  void Schedule(Request* request, uint32_t count, StepLoad* load);
  void Preempt();
  void PreemptAll();

  const EngineOptions options_;
  const Announce announce_;
  Events* const events_;
  std::unique_ptr<Pool> pool_;
  std::vector<std::unique_ptr<Request>> running_;  // oldest first
  std::deque<std::unique_ptr<Request>> waiting_;
  std::vector<Request*> scheduled_;
  bool clear_pending_ = false;
  uint64_t prefilled_tokens_ = 0;
  uint64_t preemptions_ = 0;
};
using Engine = BasicEngine<Digest>;

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_FLEET_ENGINE_H_
