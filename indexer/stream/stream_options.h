#ifndef KVROUTE_INDEXER_STREAM_STREAM_OPTIONS_H_
#define KVROUTE_INDEXER_STREAM_STREAM_OPTIONS_H_

#include <chrono>
#include <cstddef>

#include "indexer/base/enum_names.h"
#include "indexer/base/limits.h"
#include "indexer/base/memory_budget.h"

namespace kvroute {

// What becomes of what is known of a stream when batches are lost for good
// (docs/decisions/0017-keep-what-was-known-after-a-loss.md has the figures).
enum class AfterLoss : uint8_t {
  kKeep,    // it is kept, in doubt, as long as most of it is probably right
  kForget,  // removals may be among what was lost: nothing is believed any more
};
inline constexpr auto kAfterLossNames = NamesUpTo<AfterLoss::kForget>("keep", "forget");

// How a stream gets from doubt to certainty, and what may be kept for it meanwhile, whatever its
// batches come by.
struct StreamOptions {
  std::chrono::milliseconds replay_timeout{5'000};  // without any reply
  int replay_attempts = 3;                          // requests for the same hole
  // one replay without anything new, whatever its replies and attempts
  std::chrono::milliseconds replay_limit{120'000};
  // After this much silence the engine is asked whether there is more: a lost last batch shows in
  // nothing else. As long as there is nothing, it is asked again after twice as long each time, up
  // to probe_idle_max.
  std::chrono::milliseconds probe_after_idle{1'000};
  std::chrono::milliseconds probe_idle_max{30'000};
  // After a loss that may have been passing, how long until the engine is asked for everything
  // again; doubles up to 64 times.
  std::chrono::milliseconds fresh_start_after{10'000};
  AfterLoss after_loss = AfterLoss::kKeep;
  size_t max_held_batches = limits::kMaxHeldBatches;
  size_t max_held_memory_bytes = limits::kMaxHeldMemoryBytes;
  size_t max_pending_memory_bytes = limits::kMaxPendingMemoryBytes;
  // Of all streams together, which outlive them; null: only the bounds above.
  MemoryBudget* held_memory = nullptr;
  MemoryBudget* pending_memory = nullptr;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_STREAM_OPTIONS_H_
