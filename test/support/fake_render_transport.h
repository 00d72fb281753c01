#ifndef KVROUTE_TEST_SUPPORT_FAKE_RENDER_TRANSPORT_H_
#define KVROUTE_TEST_SUPPORT_FAKE_RENDER_TRANSPORT_H_

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "router/prompt/render/render_transport.h"
#include "test/support/fake_clock.h"

namespace kvroute {

// HTTP without sockets or threads: a test plays the renderers, and everything runs on its thread
// when it says so. Thread safety: one thread.
class FakeRenderTransport final : public RenderTransport {
 public:
  // What a renderer answers; a status of 0: it never does.
  using Renderers = std::function<Reply(const Call&)>;

  FakeRenderTransport(FakeClock* clock, Renderers renderers)
      : clock_(clock), renderers_(std::move(renderers)) {}

  uint64_t Send(Call call, std::function<void(Reply)> done) override {
    calls.push_back(call);
    open_.emplace(++last_id_, Open{std::move(call), std::move(done), clock_->Monotonic()});
    return last_id_;
  }
  void Cancel(uint64_t id) override { cancelled_.push_back(id); }
  void Run(std::function<void()> work) override { work_.push_back(std::move(work)); }
  void RunAfter(Nanos delay, std::function<void()> work) override {
    timers_.emplace(clock_->Monotonic() + delay, std::move(work));
  }

  // Runs what can run now, and what comes of it.
  void Pump() {
    bool any = true;
    while (any) {
      const bool worked = RunWork(), timed = RunTimers(), ended = EndCancelled(),
                 answered = Answer();
      any = worked || timed || ended || answered;
    }
  }
  // Lets time pass; calls without an answer end at their deadlines.
  void Advance(std::chrono::milliseconds by) {
    for (; by.count() > 0; by -= std::min(by, kStep)) {
      clock_->Advance(std::min(by, kStep));
      Pump();
    }
  }

  // Calls of one URL path, probes ("{}") left out.
  std::vector<Call> CallsTo(std::string_view path) const {
    std::vector<Call> found;
    for (const Call& call : calls) {
      if (call.url.ends_with(path) && call.json != "{}") found.push_back(call);
    }
    return found;
  }
  size_t open() const { return open_.size(); }

  std::vector<Call> calls;

 private:
  static constexpr std::chrono::milliseconds kStep{50};
  struct Open {
    Call call;
    std::function<void(Reply)> done;
    Nanos begun{0};
  };

  bool RunWork() {
    if (work_.empty()) return false;
    const std::function<void()> work = std::move(work_.front());
    work_.pop_front();
    work();
    return true;
  }
  bool RunTimers() {
    if (timers_.empty() || timers_.begin()->first > clock_->Monotonic()) return false;
    const std::function<void()> work = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    work();
    return true;
  }
  bool EndCancelled() {
    bool any = false;
    for (const uint64_t id : std::exchange(cancelled_, {})) {
      any |= End(id, {.failure = RenderFailure::kUnreachable, .detail = "cancelled"});
    }
    return any;
  }
  bool Answer() {
    for (const auto& [id, open] : open_) {
      Reply reply = renderers_(open.call);
      const bool is_late = clock_->Monotonic() - open.begun >= open.call.deadline;
      if (reply.status == 0 && reply.failure == RenderFailure::kNo) {
        if (!is_late) continue;
        reply = {.failure = RenderFailure::kDeadline, .detail = "late"};
      }
      if (reply.body.size() > open.call.max_reply_bytes) {
        reply = {.failure = RenderFailure::kTooLarge, .detail = "too long"};
      }
      return End(id, std::move(reply));
    }
    return false;
  }
  bool End(uint64_t id, Reply reply) {
    const auto found = open_.find(id);
    if (found == open_.end()) return false;
    const std::function<void(Reply)> done = std::move(found->second.done);
    open_.erase(found);
    done(std::move(reply));
    return true;
  }

  FakeClock* const clock_;
  const Renderers renderers_;
  std::map<uint64_t, Open> open_;
  std::deque<std::function<void()>> work_;
  std::multimap<Nanos, std::function<void()>> timers_;
  std::vector<uint64_t> cancelled_;
  uint64_t last_id_ = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_FAKE_RENDER_TRANSPORT_H_
