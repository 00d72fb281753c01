#ifndef KVROUTE_ROUTER_LOAD_PREDICTION_H_
#define KVROUTE_ROUTER_LOAD_PREDICTION_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>

#include "indexer/stream/stream.h"

// What decisions said of their targets' caches, and how far it was from what the engines had.
namespace kvroute {

// What one decision said. Its lease remembers it until the engine says what it had.
struct Prediction {
  enum class State : uint8_t {
    kNone,   // nothing was said: the prompt was not known
    kMade,   // of the lease's target
    kPart,   // the same, of one of several prompts, which the engine counts together
    kMoved,  // of another target than the one that serves the request
  };
  uint32_t matched_tokens = 0;  // leading ones that the target held, in full blocks
  uint32_t prompt_tokens = 0;   // 0: not known exactly
  uint32_t block_size_tokens = 0;
  Trust trust = Trust::kCold;  // at that time
  State state = State::kNone;
};

// Classes of errors by their upper bounds, in tokens: what the engine had less what was predicted.
// As fine below as above: from 16 on, from 64 on, ... The last class, without a bound, is above.
inline constexpr std::array<int64_t, 12> kPredictionErrorBounds = {
    -4096, -1024, -256, -64, -16, -1, 0, 15, 63, 255, 1023, 4095};

// Predictions that were compared with what engines had. Relaxed atomics.
struct PredictionCounts {
  using Counter = std::atomic<uint64_t>;
  Counter predicted_tokens{0};
  Counter cached_tokens{0};  // as the engines say
  std::array<Counter, kPredictionErrorBounds.size() + 1> errors{};

  void Add(uint64_t predicted, uint64_t cached) {
    predicted_tokens.fetch_add(predicted, std::memory_order_relaxed);
    cached_tokens.fetch_add(cached, std::memory_order_relaxed);
    const auto error = static_cast<int64_t>(cached) - static_cast<int64_t>(predicted);
    const auto* const bound =
        std::lower_bound(kPredictionErrorBounds.begin(), kPredictionErrorBounds.end(), error);
    errors[static_cast<size_t>(bound - kPredictionErrorBounds.begin())].fetch_add(
        1, std::memory_order_relaxed);
  }
};

// Of one target.
struct TargetPredictions {
  std::array<PredictionCounts, kTrustCount> by_trust{};
  // Its engine has told how many tokens were cached, once at least. Some leave the number out where
  // it is 0: from then on, none told is 0.
  std::atomic<bool> tells_cached{false};
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_LOAD_PREDICTION_H_
