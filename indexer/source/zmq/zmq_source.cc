#include "indexer/source/zmq/zmq_source.h"

#include <sys/resource.h>

#include <atomic>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "indexer/base/log.h"
#include "indexer/source/zmq/event_subscription.h"
#include "indexer/source/zmq/frames.h"
#include "indexer/source/zmq/lane.h"
#include "indexer/source/zmq/zmq_socket.h"

namespace kvroute {
namespace {

// A stream takes up to five descriptors; the usual soft limit of 1,024 would end at two hundred
// streams.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

class ZmqSourceImpl final : public ZmqSource {
 public:
  ZmqSourceImpl(const ZmqSourceOptions& options, StreamRegistry* registry, IngestCounters* counters,
                const Clock* clock)
      : options_(options), registry_(registry), sockets_(options.io_threads) {
    const LaneContext context{&sockets_, &options_, registry, counters, clock, nullptr, nullptr};
    for (int i = 0; i < options.lanes; ++i) {
      lanes_.push_back(std::make_unique<Lane>(absl::StrCat("ingest-", i), context));
    }
  }

  absl::StatusOr<std::shared_ptr<const StreamStatus>> AddStream(
      const StreamConfig& config) override {
    auto subscription = EventSubscription::Connect(&sockets_, options_, config);
    if (!subscription.ok()) return subscription.status();
    if (absl::Status status = CheckReplayEndpoint(config); !status.ok()) return status;
    auto status = registry_->Open(config);
    if (!status.ok()) return status.status();
    NextLane()->Add(*status, *std::move(subscription));
    return *std::move(status);
  }

  // Which lane has it is known to the lanes only: a discovered stream is its listener's.
  void RemoveStream(StreamId id) override {
    for (const auto& lane : lanes_) lane->Remove(id);
  }

  absl::Status AddListener(const ListenerConfig& config, OnDiscovered on_discovered,
                           OnExpired on_expired) override {
    auto subscription = EventSubscription::Listen(&sockets_, options_, config);
    if (!subscription.ok()) return subscription.status();
    LogInfo("listening for engines on {}", (*subscription)->BoundEndpoint());
    NextLane()->AddListener(
        *std::move(subscription), config,
        [this, config, on_discovered = std::move(on_discovered)](const std::string& topic) {
          return Discover(config, topic, on_discovered);
        },
        std::move(on_expired));
    return absl::OkStatus();
  }

  void Stop() override {
    for (const auto& lane : lanes_) lane->Stop();
  }

  std::vector<LaneAge> LaneAges() const override {
    std::vector<LaneAge> ages;
    for (const auto& lane : lanes_) ages.push_back(lane->Age());
    return ages;
  }

 private:
  Listener::OpenedStream Discover(const ListenerConfig& listener, const std::string& topic,
                                  const OnDiscovered& on_discovered) {
    const auto identity = ParseTopicIdentity(topic);
    if (!identity.has_value()) return UnknownTopic::kNoIdentity;
    StreamConfig config;
    config.worker_id = absl::StrCat(identity->host, "@", identity->model);
    config.engine = listener.engine;
    config.topic = topic;
    if (listener.replay_port != 0) {
      config.replay_endpoint = absl::StrCat("tcp://", identity->pod, ":", listener.replay_port);
      if (!CheckReplayEndpoint(config).ok()) return UnknownTopic::kNoIdentity;
    }
    auto status = registry_->Open(config);
    if (!status.ok()) return UnknownTopic::kMaxStreams;
    if (on_discovered({topic, identity->host, identity->model, *status})) return *std::move(status);
    registry_->Close((*status)->id);
    return UnknownTopic::kNotWanted;
  }

  // The replay socket is made anew for every replay; whether it can be is said now.
  absl::Status CheckReplayEndpoint(const StreamConfig& config) {
    if (config.replay_endpoint.empty()) return absl::OkStatus();
    ZmqSocket socket(&sockets_, ZMQ_DEALER);
    return socket.Connect("replay_endpoint", config.replay_endpoint);
  }

  Lane* NextLane() {
    return lanes_[next_lane_.fetch_add(1, std::memory_order_relaxed) % lanes_.size()].get();
  }

  const ZmqSourceOptions options_;
  StreamRegistry* const registry_;
  SocketContext sockets_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::atomic<size_t> next_lane_{0};
};

}  // namespace

absl::StatusOr<std::unique_ptr<ZmqSource>> ZmqSource::Start(const ZmqSourceOptions& options,
                                                            StreamRegistry* registry,
                                                            IngestCounters* counters,
                                                            const Clock* clock) {
  if (options.lanes < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("ingest.lanes: ", options.lanes, ", at least 1 is needed"));
  }
  if (options.io_threads < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("ingest.io_threads: ", options.io_threads, ", at least 1 is needed"));
  }
  RaiseDescriptorLimit();
  return std::make_unique<ZmqSourceImpl>(options, registry, counters, clock);
}

}  // namespace kvroute
