#ifndef KVROUTE_ROUTER_PROMPT_RENDER_RENDERER_HEALTH_H_
#define KVROUTE_ROUTER_PROMPT_RENDER_RENDERER_HEALTH_H_

#include <cstdint>

#include "indexer/base/clock.h"
#include "indexer/base/enum_names.h"

namespace kvroute {

// Whether one renderer is asked: a circuit breaker with named states (docs/life-of-a-query.md has
// the table of states and inputs).
//
// Thread safety: one thread at a time.
class RendererHealth {
 public:
  enum class State : uint8_t {
    kProbing,    // asked what it can, not answered yet: used when no other is ready
    kReady,      // used
    kLeftAlone,  // failed: not used until it is probed again
  };

  static constexpr int kFailuresToLeave = 3;  // one behind the other
  static constexpr Nanos kFirstPause = std::chrono::seconds(1);
  static constexpr Nanos kLongestPause = std::chrono::seconds(30);
  static constexpr Nanos kProbeAgainAfter = std::chrono::seconds(60);  // it may have been upgraded

  // What happened.
  void OnProbed(bool answered, Nanos now);
  void OnAnswer();
  void OnFailure(Nanos now);  // unreachable, late, broken

  // True, once: it is time to probe it.
  bool TakeProbe(Nanos now);

  State state() const { return state_; }
  bool usable() const { return state_ != State::kLeftAlone; }

 private:
  void Leave(Nanos now);

  State state_ = State::kProbing;
  int failures_ = 0;  // one behind the other
  Nanos pause_{0};    // the last one; 0: it has never been left alone since it was well
  Nanos probe_at_{0};
  bool probe_is_out_ = false;
};
inline constexpr auto kRendererStateNames =
    NamesUpTo<RendererHealth::State::kLeftAlone>("probing", "ready", "left_alone");

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_PROMPT_RENDER_RENDERER_HEALTH_H_
