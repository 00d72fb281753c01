#ifndef KVROUTE_TOOLS_LOAD_LOAD_PUBLISHER_H_
#define KVROUTE_TOOLS_LOAD_LOAD_PUBLISHER_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "indexer/base/clock.h"
#include "indexer/base/mutex.h"
#include "indexer/event/event_encoder.h"
#include "tools/load/publish_clock.h"
#include "tools/load/synthetic_engine.h"
#include "tools/publisher/zmq_publisher.h"

namespace kvroute {

struct LoadPublisherOptions {
  int streams = 16;
  double blocks_per_second = 200'000;  // stored, over all streams; removals come on top
  WireStyle style = WireStyle::kVllmMap;
  SyntheticEngineOptions engine;  // of each stream; `stream` is set
  size_t replay_buffer_batches = 2'000;
};

// Totals over all streams.
struct PublishedTotals {
  uint64_t batches = 0;
  uint64_t stored_blocks = 0;
  uint64_t removed_blocks = 0;
  uint64_t bytes = 0;
};

// N synthetic engines on real sockets, published at a fixed rate whatever the receiver does (open
// loop): each stream's batches are due at even intervals, the streams take turns.
//
// Thread safety: Run on one thread; everything else from any thread. Replay requests are answered
// all along.
class LoadPublisher {
 public:
  static absl::StatusOr<std::unique_ptr<LoadPublisher>> Create(const LoadPublisherOptions& options);

  // Until Finish.
  void Run();
  void Begin() { phase_.store(Phase::kPublishing); }
  // Nothing is published once Run has seen it; AwaitStopped waits for that.
  void Stop() { phase_.store(Phase::kStopping); }
  void AwaitStopped() const;
  void Finish() { phase_.store(Phase::kFinished); }

  struct Endpoints {
    std::string events;
    std::string replay;
  };
  size_t streams() const { return engines_.size(); }
  const Endpoints& endpoints(size_t stream) const { return endpoints_[stream]; }
  const PublishClock& clock(size_t stream) const { return *clocks_[stream]; }
  PublishedTotals totals() const;
  // Batches that are due but not published: the publisher itself cannot keep up.
  uint64_t backlog() const { return backlog_.load(); }

  // A few conversations of the stream's engine, most recently touched first: what it held a moment
  // ago, and what it holds once stopped.
  std::vector<Conversation> SampleConversations(size_t stream) const;

 private:
  enum class Phase { kServing, kPublishing, kStopping, kStopped, kFinished };

  explicit LoadPublisher(const LoadPublisherOptions& options);
  void TakeSamples();
  void PublishDue(Nanos since_start);
  void PublishOne(size_t stream);

  const LoadPublisherOptions options_;
  ZmqContext context_;
  EventEncoder encoder_;
  std::string payload_;
  std::vector<SyntheticEngine> engines_;
  std::vector<std::unique_ptr<ZmqPublisher>> sockets_;
  std::vector<Endpoints> endpoints_;
  std::vector<std::unique_ptr<PublishClock>> clocks_;
  uint64_t issued_ = 0;
  std::atomic<Phase> phase_{Phase::kServing};
  std::atomic<uint64_t> batches_{0}, stored_blocks_{0}, removed_blocks_{0}, bytes_{0}, backlog_{0};
  mutable Mutex mutex_;
  std::vector<std::vector<Conversation>> samples_ ABSL_GUARDED_BY(mutex_);  // by stream
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_LOAD_LOAD_PUBLISHER_H_
