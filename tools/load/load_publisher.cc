#include "tools/load/load_publisher.h"

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

namespace kvroute {
namespace {

constexpr std::chrono::milliseconds kTick{1};
constexpr std::chrono::milliseconds kServeInterval{20};
constexpr size_t kSampledConversations = 16;  // of each stream
constexpr uint64_t kSampleEveryBatches = 64;

}  // namespace

absl::StatusOr<std::unique_ptr<LoadPublisher>> LoadPublisher::Create(
    const LoadPublisherOptions& options) {
  std::unique_ptr<LoadPublisher> load(new LoadPublisher(options));
  for (int stream = 0; stream < options.streams; ++stream) {
    PublisherOptions sockets;
    sockets.buffer_steps = options.replay_buffer_batches;
    sockets.topic_in_replay = options.style != WireStyle::kSglangMap;
    auto publisher = ZmqPublisher::Create(&load->context_, sockets);
    if (!publisher.ok()) return publisher.status();
    load->endpoints_.push_back({(*publisher)->event_endpoint(), (*publisher)->replay_endpoint()});
    load->sockets_.push_back(*std::move(publisher));
    SyntheticEngineOptions engine = options.engine;
    engine.stream = static_cast<uint32_t>(stream);
    load->engines_.emplace_back(engine);
    load->clocks_.push_back(std::make_unique<PublishClock>());
  }
  return load;
}

LoadPublisher::LoadPublisher(const LoadPublisherOptions& options)
    : options_(options),
      encoder_({.style = options.style}),
      samples_(static_cast<size_t>(options.streams)) {}

void LoadPublisher::Run() {
  const Clock& clock = Clock::Real();
  std::optional<Nanos> start;
  Nanos serve_at{0};
  for (Phase phase; (phase = phase_.load()) != Phase::kFinished;
       std::this_thread::sleep_for(kTick)) {
    if (phase == Phase::kPublishing) {
      if (!start) start = clock.Monotonic();
      PublishDue(clock.Monotonic() - *start);
    } else if (phase == Phase::kStopping) {
      TakeSamples();
      phase_.compare_exchange_strong(phase, Phase::kStopped);
    }
    if (clock.Monotonic() >= serve_at) {
      for (const auto& sockets : sockets_) sockets->Serve();
      serve_at = clock.Monotonic() + kServeInterval;
    }
  }
}

void LoadPublisher::AwaitStopped() const {
  while (phase_.load() == Phase::kStopping) std::this_thread::sleep_for(kTick);
}

void LoadPublisher::TakeSamples() {
  MutexLock lock(&mutex_);
  for (size_t stream = 0; stream < engines_.size(); ++stream) {
    samples_[stream].clear();
    for (const Conversation& conversation : engines_[stream].conversations()) {
      if (samples_[stream].size() == kSampledConversations) break;
      samples_[stream].push_back(conversation);
    }
  }
}

void LoadPublisher::PublishDue(Nanos since_start) {
  const double batches_per_second = options_.blocks_per_second / options_.engine.run_blocks;
  const auto due = static_cast<uint64_t>(std::chrono::duration<double>(since_start).count() *
                                         batches_per_second);
  // A tick's worth at a time, so that a backlog never keeps replay requests waiting for long.
  const uint64_t most = issued_ + 1 + static_cast<uint64_t>(batches_per_second * 0.02);
  for (; issued_ < std::min(due, most); ++issued_) PublishOne(issued_ % engines_.size());
  backlog_.store(due - std::min(due, issued_));
}

void LoadPublisher::PublishOne(size_t stream) {
  const SyntheticEngine::StepCounts counts = engines_[stream].Step(&encoder_);
  const double now_seconds = std::chrono::duration<double>(Clock::Real().Wall()).count();
  encoder_.Finish(now_seconds, 0, &payload_);
  // Before it is sent: a batch that is seen already must have its time.
  clocks_[stream]->Published(sockets_[stream]->next_seq(), Clock::Real().Monotonic());
  sockets_[stream]->Publish(payload_);
  batches_.fetch_add(1, std::memory_order_relaxed);
  stored_blocks_.fetch_add(counts.stored_blocks, std::memory_order_relaxed);
  removed_blocks_.fetch_add(counts.removed_blocks, std::memory_order_relaxed);
  bytes_.fetch_add(payload_.size(), std::memory_order_relaxed);
  if (sockets_[stream]->next_seq() % kSampleEveryBatches == 0) {
    MutexLock lock(&mutex_);
    samples_[stream] = {engines_[stream].newest()};
  }
}

PublishedTotals LoadPublisher::totals() const {
  return {.batches = batches_.load(),
          .stored_blocks = stored_blocks_.load(),
          .removed_blocks = removed_blocks_.load(),
          .bytes = bytes_.load()};
}

std::vector<Conversation> LoadPublisher::SampleConversations(size_t stream) const {
  MutexLock lock(&mutex_);
  return samples_[stream];
}

}  // namespace kvroute
