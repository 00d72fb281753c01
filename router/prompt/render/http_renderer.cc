#include "router/prompt/render/http_renderer.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>
#include <random>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "indexer/base/log.h"
#include "indexer/base/mutex.h"
#include "router/prompt/render/render_job.h"
#include "router/prompt/render/render_pool.h"
#include "router/prompt/render/render_reply.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;

uint64_t RandomSeed() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

RenderedPrompt PromptOfReply(RenderPath path, const RenderTransport::Reply& reply) {
  if (reply.failure != RenderFailure::kNo) return FailedRender(reply.failure, reply.detail);
  if (reply.status == 200) return ReadRenderReply(path, reply.body);
  constexpr size_t kShownBytes = 200;
  return FailedRender(FailureOfStatus(reply.status, reply.body),
                      fmt::format("{} answered {}: {}", UrlPathOf(path), reply.status,
                                  std::string_view(reply.body).substr(0, kShownBytes)));
}

}  // namespace

// What callbacks share with the renderer: it outlives it for as long as one is under way.
class HttpRenderer::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(const HttpRendererOptions& options, RenderTransport* transport, const Clock* clock)
      : options_(options),
        transport_(transport),
        clock_(clock),
        pool_(options.max_renders_per_renderer),
        memory_(options.max_memory_bytes, RandomSeed()) {}

  // The end of the renderer.
  void End() {
    std::map<RenderTicket, RenderJob> jobs;
    {
      MutexLock lock(&mutex_);
      ended_ = true;
      jobs.swap(jobs_);
    }
    for (auto& [ticket, job] : jobs) {
      transport_->Cancel(job.transfer);
      if (job.done) job.done(FailedRender(RenderFailure::kOff, "kvroute ends"));
    }
  }

  void SetRenderers(std::vector<RendererSpec> specs) {
    bool changed = false;
    bool first = false;
    {
      MutexLock lock(&mutex_);
      changed = pool_.Set(std::move(specs));
      first = !ticking_;
      ticking_ = true;
    }
    if (changed) memory_.Forget();
    if (first) return Tick();
    if (changed) Probe();
  }

  RenderTicket Start(const RequestBody& body, std::string_view text, std::string_view model,
                     Nanos deadline, Done done) {
    const Nanos now = clock_->Monotonic();
    RenderJob job{
        .deadline = deadline, .begun = now, .model = std::string(model), .done = std::move(done)};
    job.key = memory_.KeyOf(body.api, model, text);
    return Begin(body, text, std::move(job));
  }

  std::shared_ptr<const RenderedPrompt> Recall(const RequestBody& body, std::string_view text,
                                               std::string_view model) {
    const RenderKey key = memory_.KeyOf(body.api, model, text);
    const Nanos now = clock_->Monotonic();
    RenderMemory::Found found = memory_.Find(key, now);
    if (found.prompt != nullptr) recalled_.fetch_add(1, std::memory_order_relaxed);
    if (found.check) {
      Begin(body, text,
            {.deadline = now + kCheckTime,
             .begun = now,
             .model = std::string(model),
             .key = key,
             .is_check = true});
    }
    return std::move(found.prompt);
  }

  bool Cancel(RenderTicket ticket) {
    RenderJob job;
    {
      MutexLock lock(&mutex_);
      const auto found = jobs_.find(ticket);
      if (found == jobs_.end()) return false;
      job = std::move(found->second);
      jobs_.erase(found);
      job_bytes_ -= job.bytes;
      ++stats_.cancelled;
    }
    if (job.transfer != 0) transport_->Cancel(job.transfer);
    return true;
  }

  HttpRendererStats Stats() const {
    HttpRendererStats stats;
    {
      MutexLock lock(&mutex_);
      stats = stats_;
      stats.under_way = jobs_.size();
      stats.bytes = job_bytes_;
    }
    stats.memory = memory_.Stats();
    stats.rendered[static_cast<size_t>(RenderedBy::kMemory)] =
        recalled_.load(std::memory_order_relaxed);
    return stats;
  }
  std::vector<RendererReport> Report() const {
    MutexLock lock(&mutex_);
    return pool_.Report();
  }
  const LatencyHistogram& latency() const { return latency_; }

 private:
  static constexpr Nanos kCheckTime = std::chrono::seconds(2);

  RenderTicket Begin(const RequestBody& body, std::string_view text, RenderJob job) {
    RenderPool::Choice choice;
    {
      MutexLock lock(&mutex_);
      if (jobs_.size() >= options_.max_renders || job_bytes_ >= options_.max_render_bytes) {
        choice.failure = RenderFailure::kBusy;
      } else {
        choice = pool_.Choose(job.model, RenderPathsOf(body.api), nullptr, job.begun);
      }
    }
    if (choice.failure != RenderFailure::kNo) {
      RenderedPrompt failed = FailedRender(choice.failure, choice.Detail(job.model));
      return EndSoon(std::move(job), std::move(failed));
    }
    std::string detail;
    if (!MakeCalls(body, text, choice, &job, &detail)) {
      {
        MutexLock lock(&mutex_);
        pool_.GiveBack(choice.renderer);
      }
      return EndSoon(std::move(job), FailedRender(RenderFailure::kBadBody, detail));
    }
    const RenderTicket ticket = Insert(std::move(job));
    Send(ticket, choice);
    return ticket;
  }

  RenderTicket Insert(RenderJob job) {
    MutexLock lock(&mutex_);
    const RenderTicket ticket(++last_ticket_);
    job_bytes_ += job.bytes;
    jobs_.emplace(ticket, std::move(job));
    return ticket;
  }

  // An answer that is known already is told on the transport's thread, never inside Start.
  RenderTicket EndSoon(RenderJob job, RenderedPrompt answer) {
    job.answer = std::move(answer);
    const RenderTicket ticket = Insert(std::move(job));
    transport_->Run([weak = weak_from_this(), ticket] {
      if (const auto core = weak.lock()) core->Tell(ticket, {});
    });
    return ticket;
  }

  // The call of a job that is in jobs_, unless it has been cancelled.
  void Send(RenderTicket ticket, const RenderPool::Choice& choice) {
    RenderTransport::Call call;
    {
      MutexLock lock(&mutex_);
      const auto found = jobs_.find(ticket);
      if (found == jobs_.end()) return pool_.GiveBack(choice.renderer);
      RenderJob& job = found->second;
      ++job.attempts;
      call.url = choice.renderer->spec.url + std::string(UrlPathOf(choice.path));
      for (const RenderJob::MadeCall& made : job.calls) {
        if (made.path == choice.path) call.json = made.json;
      }
      call.deadline = std::max(job.TimeLeft(clock_->Monotonic()), milliseconds(1));
      call.max_reply_bytes = limits::kMaxRenderReplyBytes;
      call.named_by_client = choice.renderer->spec.named_by_client;
    }
    const uint64_t transfer = transport_->Send(
        std::move(call), [self = shared_from_this(), ticket, choice](RenderTransport::Reply reply) {
          self->OnReply(ticket, choice, std::move(reply));
        });
    MutexLock lock(&mutex_);
    if (const auto found = jobs_.find(ticket); found != jobs_.end()) {
      found->second.transfer = transfer;
    }
  }

  void OnReply(RenderTicket ticket, const RenderPool::Choice& choice,
               RenderTransport::Reply reply) {
    RenderedPrompt prompt = PromptOfReply(choice.path, reply);
    const Nanos now = clock_->Monotonic();
    std::optional<RenderPool::Choice> next;
    bool warn = false;
    {
      MutexLock lock(&mutex_);
      const auto found = jobs_.find(ticket);
      const bool is_cancelled = found == jobs_.end();
      const bool is_first = !is_cancelled && found->second.attempts == 1;
      warn = pool_.OnEnd(choice, prompt, is_cancelled, is_first, now);
      if (warn) ++stats_.fallbacks;
      if (is_cancelled) return;
      next = AnotherAttempt(found->second, choice, prompt, now);
    }
    if (warn) WarnOfFallback(choice);
    if (next.has_value()) return Send(ticket, *next);
    Tell(ticket, std::move(prompt));
  }

  std::optional<RenderPool::Choice> AnotherAttempt(const RenderJob& job,
                                                   const RenderPool::Choice& failed,
                                                   const RenderedPrompt& prompt, Nanos now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (ended_ || !MayTryAgain(job, prompt.failure, now)) return std::nullopt;
    std::vector<RenderPath> paths;
    for (const RenderJob::MadeCall& call : job.calls) paths.push_back(call.path);
    const bool same_may_do = prompt.failure == RenderFailure::kUnsupported;
    RenderPool::Choice choice =
        pool_.Choose(job.model, paths, same_may_do ? nullptr : failed.renderer.get(), now);
    if (choice.failure != RenderFailure::kNo) return std::nullopt;
    ++stats_.second_attempts;
    return choice;
  }

  void WarnOfFallback(const RenderPool::Choice& choice) {
    LogWarning(
        "renderer {} has no {}: its prompts are rendered by {}, without multimodal inputs (vLLM "
        "has the call with --enable-scale-out)",
        choice.renderer->spec.url, UrlPathOf(choice.path), UrlPathOf(RenderPath::kTokenize));
  }

  // The end of a job: counted, remembered, and told if somebody waits for it.
  void Tell(RenderTicket ticket, RenderedPrompt prompt) {
    RenderJob job;
    {
      MutexLock lock(&mutex_);
      const auto found = jobs_.find(ticket);
      if (found == jobs_.end()) return;
      job = std::move(found->second);
      jobs_.erase(found);
      job_bytes_ -= job.bytes;
      if (job.answer.has_value()) prompt = std::move(*job.answer);
      if (!job.is_check) Count(prompt);
    }
    if (prompt.ok()) Remember(job, prompt);
    if (job.done) job.done(std::move(prompt));
  }

  void Count(const RenderedPrompt& prompt) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (prompt.ok()) {
      ++stats_.rendered[static_cast<size_t>(prompt.by)];
    } else {
      ++stats_.failed[static_cast<size_t>(prompt.failure)];
    }
  }

  void Remember(const RenderJob& job, const RenderedPrompt& prompt) {
    const Nanos now = clock_->Monotonic();
    if (!job.is_check) {
      latency_.Observe(now - job.begun);
      return memory_.Put(job.key, prompt, now);
    }
    if (memory_.Compare(job.key, prompt)) return;
    LogError(
        "a renderer of model \"{}\" gave other tokens for a body than a moment ago: nothing is "
        "remembered any more",
        job.model);
  }

  // Once a second: whoever is due is probed.
  void Tick() {
    Probe();
    transport_->RunAfter(std::chrono::seconds(1), [weak = weak_from_this()] {
      if (const auto core = weak.lock()) core->Tick();
    });
  }

  void Probe() {
    std::vector<std::shared_ptr<RenderPool::Renderer>> due;
    {
      MutexLock lock(&mutex_);
      if (ended_) return;
      due = pool_.TakeProbes(clock_->Monotonic());
    }
    for (const auto& renderer : due) {
      for (size_t i = 0; i < kRenderPathCount; ++i) SendProbe(renderer, static_cast<RenderPath>(i));
    }
  }

  // An empty object is no request that any of the calls takes: what it answers tells whether it is
  // there.
  void SendProbe(const std::shared_ptr<RenderPool::Renderer>& renderer, RenderPath path) {
    RenderTransport::Call call{.url = renderer->spec.url + std::string(UrlPathOf(path)),
                               .json = "{}",
                               .deadline = options_.probe_timeout,
                               .max_reply_bytes = limits::kMaxProbeReplyBytes,
                               .named_by_client = renderer->spec.named_by_client};
    transport_->Send(std::move(call),
                     [weak = weak_from_this(), renderer, path](RenderTransport::Reply reply) {
                       if (const auto core = weak.lock()) core->OnProbe(renderer, path, reply);
                     });
  }

  void OnProbe(const std::shared_ptr<RenderPool::Renderer>& renderer, RenderPath path,
               const RenderTransport::Reply& reply) {
    RenderPool::ProbeEnd end;
    {
      MutexLock lock(&mutex_);
      end = pool_.OnProbe(renderer.get(), path, reply, clock_->Monotonic());
    }
    if (end.says_no_render) {
      WarnOfFallback({.renderer = renderer, .path = RenderPath::kChatRender});
    }
    if (end.is_last) Probe();  // others may wait for their turn
  }

  const HttpRendererOptions options_;
  RenderTransport* const transport_;
  const Clock* const clock_;
  LatencyHistogram latency_;

  mutable Mutex mutex_;
  RenderPool pool_ ABSL_GUARDED_BY(mutex_);
  std::map<RenderTicket, RenderJob> jobs_ ABSL_GUARDED_BY(mutex_);
  size_t job_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t last_ticket_ ABSL_GUARDED_BY(mutex_) = 0;
  HttpRendererStats stats_ ABSL_GUARDED_BY(mutex_);
  bool ticking_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;

  RenderMemory memory_;
  std::atomic<uint64_t> recalled_{0};
};

HttpRenderer::HttpRenderer(const HttpRendererOptions& options, RenderTransport* transport,
                           const Clock* clock)
    : core_(std::make_shared<Core>(options, transport, clock)) {}
HttpRenderer::~HttpRenderer() { core_->End(); }

void HttpRenderer::SetRenderers(std::vector<RendererSpec> specs) {
  core_->SetRenderers(std::move(specs));
}
std::shared_ptr<const RenderedPrompt> HttpRenderer::Recall(const RequestBody& body,
                                                           const PaddedText& text,
                                                           std::string_view model) {
  return core_->Recall(body, text.view(), model);
}
RenderTicket HttpRenderer::Start(const RequestBody& body, const PaddedText& text,
                                 std::string_view model, Nanos deadline, Done done) {
  return core_->Start(body, text.view(), model, deadline, std::move(done));
}
bool HttpRenderer::Cancel(RenderTicket ticket) { return core_->Cancel(ticket); }
HttpRendererStats HttpRenderer::Stats() const { return core_->Stats(); }
std::vector<RendererReport> HttpRenderer::Report() const { return core_->Report(); }
const LatencyHistogram& HttpRenderer::latency() const { return core_->latency(); }

}  // namespace kvroute
