#include "router/prompt/render/renderer_health.h"

#include <algorithm>

namespace kvroute {

void RendererHealth::OnProbed(bool answered, Nanos now) {
  probe_is_out_ = false;
  if (!answered) return Leave(now);
  state_ = State::kReady;
  failures_ = 0;
  probe_at_ = now + kProbeAgainAfter;
}

void RendererHealth::OnAnswer() {
  if (state_ == State::kLeftAlone) return;  // of a call from before: a probe must tell
  failures_ = 0;
  pause_ = Nanos(0);
}

void RendererHealth::OnFailure(Nanos now) {
  if (state_ == State::kLeftAlone) return;
  if (++failures_ >= kFailuresToLeave) Leave(now);
}

bool RendererHealth::TakeProbe(Nanos now) {
  if (probe_is_out_ || now < probe_at_) return false;
  probe_is_out_ = true;
  // It is not used before the probe's answer: a renderer that hangs would cost every caller its
  // deadline.
  return true;
}

void RendererHealth::Leave(Nanos now) {
  state_ = State::kLeftAlone;
  failures_ = 0;
  pause_ = pause_ == Nanos(0) ? kFirstPause : std::min(2 * pause_, kLongestPause);
  probe_at_ = now + pause_;
}

}  // namespace kvroute
