#ifndef KVROUTE_TEST_SUPPORT_FAKE_RENDERER_H_
#define KVROUTE_TEST_SUPPORT_FAKE_RENDERER_H_

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "indexer/base/check.h"
#include "indexer/base/mutex.h"
#include "indexer/base/named_thread.h"
#include "router/prompt/renderer.h"

namespace kvroute {

// A renderer without HTTP. A prompt's tokens are the bytes of its raw text (of `raw_longest`):
// texts with a common beginning have tokens with one. Answers come on a thread of its own; while it
// is held, none come, as from a renderer that hangs, and `done` is called when a test releases it.
// Thread safety: every method from any thread.
class FakeRenderer final : public PromptRenderer {
 public:
  FakeRenderer() : thread_("fake-renderer", [this] { Run(); }) {}
  ~FakeRenderer() override {
    {
      MutexLock lock(&mutex_);
      ending_ = true;
      held_ = false;
      changed_.NotifyAll();
    }
    thread_.Join();
  }

  std::shared_ptr<const RenderedPrompt> Recall(const RequestBody&, const PaddedText&,
                                               std::string_view) override {
    return nullptr;  // it remembers nothing
  }
  RenderTicket Start(const RequestBody& body, const PaddedText&, std::string_view model,
                     Nanos deadline, Done done) override {
    KVROUTE_CHECK(body.needs_render());
    Waiting waiting{.answer = TokensOf(body), .done = std::move(done)};
    MutexLock lock(&mutex_);
    if (failure_.has_value()) waiting.answer = *failure_;
    last_model_ = std::string(model);
    last_deadline_ = deadline;
    const RenderTicket ticket(++started_);
    waiting_.emplace(ticket, std::move(waiting));
    changed_.NotifyAll();
    return ticket;
  }

  bool Cancel(RenderTicket ticket) override {
    std::optional<Waiting> cancelled;  // destroyed without the lock
    MutexLock lock(&mutex_);
    const auto found = waiting_.find(ticket);
    if (found == waiting_.end()) return false;
    cancelled = std::move(found->second);
    waiting_.erase(found);
    ++cancelled_;
    changed_.NotifyAll();
    return true;
  }

  // Every render from now on fails so; kNo: works again.
  void Fail(RenderFailure failure, std::string detail = "made to fail") {
    MutexLock lock(&mutex_);
    failure_.reset();
    if (failure == RenderFailure::kNo) return;
    failure_.emplace();
    failure_->failure = failure;
    failure_->detail = std::move(detail);
  }
  void Hold() {
    MutexLock lock(&mutex_);
    held_ = true;
  }
  void Release() {
    MutexLock lock(&mutex_);
    held_ = false;
    changed_.NotifyAll();
  }
  // Until so many renders have begun, or were cancelled.
  void AwaitStarted(uint64_t count) {
    MutexLock lock(&mutex_);
    while (started_ < count) changed_.Wait(&mutex_);
  }
  void AwaitCancelled(uint64_t count) {
    MutexLock lock(&mutex_);
    while (cancelled_ < count) changed_.Wait(&mutex_);
  }

  uint64_t started() const {
    MutexLock lock(&mutex_);
    return started_;
  }
  std::string last_model() const {
    MutexLock lock(&mutex_);
    return last_model_;
  }
  Nanos last_deadline() const {
    MutexLock lock(&mutex_);
    return last_deadline_;
  }

  static RenderedPrompt TokensOf(const RequestBody& body) {
    RenderedPrompt prompt;
    for (const char byte : body.raw_longest) {
      prompt.token_ids.push_back(static_cast<unsigned char>(byte));
    }
    prompt.cache_salt = body.cache_salt;
    return prompt;
  }

 private:
  struct Waiting {
    RenderedPrompt answer;
    Done done;
  };

  void Run() {
    while (true) {
      Waiting next;
      {
        MutexLock lock(&mutex_);
        while ((waiting_.empty() || held_) && !(ending_ && waiting_.empty())) {
          changed_.Wait(&mutex_);
        }
        if (waiting_.empty()) return;
        next = std::move(waiting_.begin()->second);
        waiting_.erase(waiting_.begin());
      }
      next.done(std::move(next.answer));
    }
  }

  mutable Mutex mutex_;
  CondVar changed_;
  std::map<RenderTicket, Waiting> waiting_ ABSL_GUARDED_BY(mutex_);  // oldest first
  std::optional<RenderedPrompt> failure_ ABSL_GUARDED_BY(mutex_);
  std::string last_model_ ABSL_GUARDED_BY(mutex_);
  Nanos last_deadline_ ABSL_GUARDED_BY(mutex_){};
  uint64_t started_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t cancelled_ ABSL_GUARDED_BY(mutex_) = 0;
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  NamedThread thread_;  // last: it runs on the members above
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_FAKE_RENDERER_H_
