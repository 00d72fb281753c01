#ifndef KVROUTE_ROUTER_LOAD_IN_FLIGHT_PROMPTS_H_
#define KVROUTE_ROUTER_LOAD_IN_FLIGHT_PROMPTS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "indexer/base/limits.h"
#include "indexer/base/mutex.h"
#include "router/prompt/prompt_pieces.h"

namespace kvroute {

// The prompts that were sent somewhere and are not computed yet. Their targets will hold them by
// the time that a request of now is begun there, and no event says so yet: without them each
// request of a burst looks as if it had to compute what the one before it computes already.
//
// Bounded by max_pieces over all prompts; what does not fit is not remembered, and counted.
//
// Thread safety: every method from any thread; sharded by first piece, so that prompts that begin
// alike are in one shard.
class InFlightPrompts {
 public:
  // A prompt that was begun; 0: it is not remembered.
  using Ticket = uint64_t;
  // A place is a number of its user's own, a stream's for instance.
  struct Found {
    uint32_t place = 0;
    uint32_t tokens = 0;  // leading ones of a prompt in flight there
  };
  struct Stats {
    uint64_t prompts = 0;  // now
    uint64_t pieces = 0;   // now, of all prompts together
    uint64_t begun = 0;
    uint64_t not_remembered = 0;  // there was no room
  };

  explicit InFlightPrompts(size_t max_pieces = limits::kMaxInFlightPieces)
      : max_pieces_(max_pieces) {}

  Ticket Begin(const PromptPieces& prompt, uint32_t place);
  // Its target has computed it, or never will. 0: nothing to do.
  void End(Ticket ticket);
  // Where beginnings of the prompt are in flight. A place may be named several times: the last time
  // counts, which is the longest.
  void Find(const PromptPieces& prompt, std::vector<Found>* found) const;

  Stats GetStats() const;

 private:
  static constexpr size_t kShards = 16;

  struct Holder {
    uint32_t place = 0;
    uint32_t prompts = 0;
  };
  struct Prompt {
    std::vector<PieceHash> pieces;  // empty: not in use
    uint32_t place = 0;
  };
  struct alignas(64) Shard {
    mutable Mutex mutex;
    // Who will hold the prompt up to that piece, by place.
    absl::flat_hash_map<PieceHash, std::vector<Holder>> holders ABSL_GUARDED_BY(mutex);
    std::deque<Prompt> prompts ABSL_GUARDED_BY(mutex);
    std::vector<uint32_t> unused ABSL_GUARDED_BY(mutex);  // of prompts
  };

  size_t ShardOf(const PromptPieces& prompt) const { return prompt.hashes[0].value() % kShards; }

  const uint64_t max_pieces_;
  std::atomic<uint64_t> prompts_{0};
  std::atomic<uint64_t> pieces_{0};
  std::atomic<uint64_t> begun_{0};
  std::atomic<uint64_t> not_remembered_{0};
  std::array<Shard, kShards> shards_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_LOAD_IN_FLIGHT_PROMPTS_H_
