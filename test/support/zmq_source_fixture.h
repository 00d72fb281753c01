#ifndef KVROUTE_TEST_SUPPORT_ZMQ_SOURCE_FIXTURE_H_
#define KVROUTE_TEST_SUPPORT_ZMQ_SOURCE_FIXTURE_H_

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "indexer/source/zmq/zmq_source.h"
#include "test/support/fake_clock.h"
#include "test/support/model_engine.h"
#include "tools/publisher/zmq_publisher.h"

namespace kvroute {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A model engine behind real sockets, and a source that subscribes to it over TCP on ports the
// system chose.
class ZmqSourceFixture : public testing::Test {
 protected:
  static constexpr std::chrono::microseconds kPollInterval{100};

  ZmqSourceFixture() : engine_(7) {
    options_.stream.replay_timeout = seconds(5);
    options_.reconnect_min = milliseconds(20);
    options_.reconnect_max = milliseconds(100);
    options_.stream.probe_after_idle = milliseconds(100);
  }

  void StartEngine(const PublisherOptions& options = {}) {
    auto publisher = ZmqPublisher::Create(&sockets_, options);
    ASSERT_TRUE(publisher.ok()) << publisher.status().message();
    publisher_ = *std::move(publisher);
  }
  void StartSource() {
    registry_ = std::make_unique<StreamRegistry>(&index_, max_streams_);
    auto source = ZmqSource::Start(options_, registry_.get(), &counters_, clock_);
    ASSERT_TRUE(source.ok()) << source.status().message();
    source_ = *std::move(source);
  }
  StreamConfig Config() const {
    StreamConfig config;
    config.worker_id = "w";
    config.event_endpoint = publisher_->event_endpoint();
    config.replay_endpoint = publisher_->replay_endpoint();
    return config;
  }
  void Subscribe(const StreamConfig& config) {
    if (source_ == nullptr) StartSource();
    auto status = source_->AddStream(config);
    ASSERT_TRUE(status.ok()) << status.status().message();
    stream_ = *std::move(status);
  }
  void Subscribe() { Subscribe(Config()); }

  void Publish(int batches) {
    for (int i = 0; i < batches; ++i) publisher_->Publish(engine_.Step());
  }
  void PublishClear() { publisher_->Publish(engine_.Clear()); }

  // Until the condition holds; false after two minutes. What a condition publishes each time is no
  // flood.
  bool UntilUnserved(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + seconds(120);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(kPollInterval);
    }
    return true;
  }
  // The same, and lets the engine answer replay requests meanwhile.
  bool Until(const std::function<bool()>& condition) {
    return UntilUnserved([&] {
      if (condition()) return true;
      if (publisher_ != nullptr) publisher_->Serve(milliseconds(1));
      return false;
    });
  }
  bool UntilTrust(Trust trust) {
    return Until([&] { return stream_->trust.load() == trust; });
  }
  bool UntilCaughtUp() {
    return Until([&] {
      return stream_->next_seq.load() == engine_.next_seq() &&
             stream_->trust.load() == Trust::kExact;
    });
  }
  std::string State() const {
    return std::string(TrustName(stream_->trust.load())) + "/" +
           std::string(TrustReasonName(stream_->reason.load())) + " next " +
           std::to_string(stream_->next_seq.load()) + " of " + std::to_string(engine_.next_seq());
  }

  void ExpectIndexEqualsEngine() {
    ASSERT_TRUE(UntilCaughtUp()) << State();
    for (uint32_t node = 0; node < engine_.nodes(); ++node) {
      MatchResult result;
      index_.Match(engine_.PromptOf(node), &result);
      const uint32_t blocks = result.matches.empty() ? 0 : result.matches[0].blocks;
      ASSERT_EQ(blocks, engine_.HeldAt(engine_.next_seq(), node)) << "node " << node;
    }
  }

  ZmqSourceOptions options_;
  size_t max_streams_ = limits::kMaxStreams;
  FakeClock fake_clock_;
  const Clock* clock_ = &Clock::Real();  // of the source
  PrefixIndex index_;
  IngestCounters counters_;
  ModelEngine engine_;
  ZmqContext sockets_;
  std::unique_ptr<ZmqPublisher> publisher_;
  std::unique_ptr<StreamRegistry> registry_;
  std::unique_ptr<ZmqSource> source_;
  std::shared_ptr<const StreamStatus> stream_;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_ZMQ_SOURCE_FIXTURE_H_
