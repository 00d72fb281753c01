#include "router/prompt/render/render_pool.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "router/prompt/render/render_reply.h"

namespace kvroute {
namespace {

// Whether a failure is the renderer's fault.
bool IsFault(RenderFailure failure) {
  switch (failure) {
    case RenderFailure::kDeadline:
    case RenderFailure::kUnreachable:
    case RenderFailure::kServerError:
    case RenderFailure::kTooLarge:
    case RenderFailure::kBadReply:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::string RenderPool::Choice::Detail(std::string_view model) const {
  switch (failure) {
    case RenderFailure::kBusy:
      return "as many renders are under way as may be";
    case RenderFailure::kUnsupported:
      return fmt::format("no renderer of model \"{}\" has a call for this API", model);
    default:
      return fmt::format("no renderer of model \"{}\" answers", model);
  }
}

bool RenderPool::Set(std::vector<RendererSpec> specs) {
  std::sort(specs.begin(), specs.end());
  specs.erase(std::unique(specs.begin(), specs.end()), specs.end());
  std::vector<std::shared_ptr<Renderer>> renderers;
  auto old = renderers_.begin();
  bool changed = specs.size() != renderers_.size();
  for (RendererSpec& spec : specs) {
    while (old != renderers_.end() && (*old)->spec < spec) ++old;
    if (old != renderers_.end() && (*old)->spec == spec) {
      renderers.push_back(*old);
      continue;
    }
    changed = true;
    renderers.push_back(std::make_shared<Renderer>());
    renderers.back()->spec = std::move(spec);
  }
  renderers_ = std::move(renderers);
  std::map<std::string, Group, std::less<>> groups;
  for (const auto& renderer : renderers_) {
    groups[renderer->spec.model].renderers.push_back(renderer);
  }
  groups_ = std::move(groups);
  return changed;
}

RenderPool::Choice RenderPool::Choose(std::string_view model, absl::Span<const RenderPath> paths,
                                      const Renderer* without, Nanos now) {
  // The best so far of: it is ready, it has an earlier path.
  Choice best{.failure = RenderFailure::kNoRenderer};
  bool best_is_ready = false;
  size_t best_path = paths.size();
  RenderFailure why = RenderFailure::kNoRenderer;
  auto group = groups_.find(model);
  if (group == groups_.end()) group = groups_.find("");
  const size_t count = group == groups_.end() ? 0 : group->second.renderers.size();
  const size_t first = count == 0 ? 0 : group->second.next++ % count;
  for (size_t i = 0; i < count; ++i) {
    const std::shared_ptr<Renderer>& renderer = group->second.renderers[(first + i) % count];
    if (renderer.get() == without || !renderer->health.usable()) continue;
    if (renderer->under_way >= max_under_way_) {
      why = RenderFailure::kBusy;
      continue;
    }
    const bool is_ready = renderer->health.state() == RendererHealth::State::kReady;
    if (best_is_ready && !is_ready) continue;
    size_t path = 0;
    while (path < paths.size() && renderer->has[static_cast<size_t>(paths[path])] == Has::kNo) {
      ++path;
    }
    if (path == paths.size()) {
      if (why == RenderFailure::kNoRenderer) why = RenderFailure::kUnsupported;
      continue;
    }
    if (best.renderer != nullptr && best_is_ready == is_ready && path >= best_path) continue;
    best = {.renderer = renderer, .path = paths[path]};
    best.is_known = renderer->has[static_cast<size_t>(paths[path])] == Has::kYes;
    best_is_ready = is_ready;
    best_path = path;
    if (is_ready && path == 0) break;  // there is no better one
  }
  if (best.renderer == nullptr) {
    best.failure = why;
  } else {
    ++best.renderer->under_way;
    best.chosen_at = now;
  }
  return best;
}

bool RenderPool::OnEnd(const Choice& choice, const RenderedPrompt& prompt, bool is_cancelled,
                       bool is_first, Nanos now) {
  Renderer& renderer = *choice.renderer;
  --renderer.under_way;
  if (is_cancelled) return false;
  if (prompt.failure == RenderFailure::kUnsupported) {
    renderer.has[static_cast<size_t>(choice.path)] = Has::kNo;
    const bool warn = RenderedByOf(choice.path) == RenderedBy::kRender &&
                      !std::exchange(renderer.is_warned_of, true);
    renderer.health.OnAnswer();
    return warn;
  }
  if (!IsFault(prompt.failure)) {
    ++renderer.answers;
    renderer.last_answer_at = now;
    renderer.health.OnAnswer();
    return false;
  }
  ++renderer.failures;
  renderer.last_failure = prompt.detail;
  // A long prompt takes long: late is no fault of who answered others meanwhile, nor of who had
  // only what another attempt had left of the time.
  const bool answered_others = renderer.last_answer_at >= choice.chosen_at;
  if (prompt.failure != RenderFailure::kDeadline || (is_first && !answered_others)) {
    renderer.health.OnFailure(now);
  }
  return false;
}

std::vector<std::shared_ptr<RenderPool::Renderer>> RenderPool::TakeProbes(Nanos now) {
  std::vector<std::shared_ptr<Renderer>> due;
  for (const auto& renderer : renderers_) {
    if (probing_ == kMaxProbes) break;
    if (!renderer->health.TakeProbe(now)) continue;
    ++probing_;
    renderer->probes_out = kRenderPathCount;
    renderer->probe_failed = false;
    due.push_back(renderer);
  }
  return due;
}

RenderPool::ProbeEnd RenderPool::OnProbe(Renderer* renderer, RenderPath path,
                                         const RenderTransport::Reply& reply, Nanos now) {
  ProbeEnd end;
  if (reply.failure != RenderFailure::kNo) {
    renderer->probe_failed = true;
    renderer->last_failure = reply.detail;
  } else {
    renderer->has[static_cast<size_t>(path)] =
        SaysNoSuchCall(reply.status, reply.body) ? Has::kNo : Has::kYes;
  }
  if (--renderer->probes_out > 0) return end;
  --probing_;
  end.is_last = true;
  renderer->health.OnProbed(!renderer->probe_failed, now);
  const auto has = [&](RenderPath which) { return renderer->has[static_cast<size_t>(which)]; };
  if (!renderer->probe_failed && has(RenderPath::kChatRender) == Has::kNo &&
      has(RenderPath::kTokenize) == Has::kYes) {
    end.says_no_render = !std::exchange(renderer->is_warned_of, true);
  }
  return end;
}

std::vector<RendererReport> RenderPool::Report() const {
  std::vector<RendererReport> reports;
  for (const auto& renderer : renderers_) {
    RendererReport report{.spec = renderer->spec,
                          .state = renderer->health.state(),
                          .under_way = renderer->under_way,
                          .answers = renderer->answers,
                          .failures = renderer->failures,
                          .last_failure = renderer->last_failure};
    for (size_t i = 0; i < kRenderPathCount; ++i) report.can[i] = renderer->has[i] == Has::kYes;
    reports.push_back(std::move(report));
  }
  return reports;
}

}  // namespace kvroute
