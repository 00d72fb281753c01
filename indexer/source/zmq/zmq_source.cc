#include "indexer/source/zmq/zmq_source.h"

#include <atomic>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "indexer/base/error.h"
#include "indexer/base/log.h"
#include "indexer/source/zmq/event_subscription.h"
#include "indexer/source/zmq/frames.h"
#include "indexer/source/zmq/io_watch.h"
#include "indexer/source/zmq/lane.h"
#include "indexer/source/zmq/zmq_socket.h"

namespace kvroute {
namespace {

class ZmqSourceImpl final : public ZmqSource {
 public:
  ZmqSourceImpl(const ZmqSourceOptions& options, StreamRegistry* registry, IngestCounters* counters,
                const Clock* clock, std::unique_ptr<SocketContext> sockets,
                std::unique_ptr<Dialer> dialer)
      : options_(options),
        registry_(registry),
        clock_(clock),
        sockets_(std::move(sockets)),
        dialer_(std::move(dialer)),
        budget_(ProcessLimits(sockets_->max_sockets(),
                              static_cast<size_t>(options.lanes) * options.max_replays_per_lane),
                counters) {}

  absl::Status StartThreads(IngestCounters* counters) {
    auto watch = IoWatch::Start(sockets_.get(), &budget_, options_.io_threads);
    if (!watch.ok()) return watch.status();
    io_watch_ = *std::move(watch);
    const LaneContext context{.sockets = sockets_.get(),
                              .budget = &budget_,
                              .dialer = dialer_.get(),
                              .options = &options_,
                              .registry = registry_,
                              .counters = counters,
                              .clock = clock_};
    for (int i = 0; i < options_.lanes; ++i) {
      auto lane = Lane::Start(absl::StrCat("ingest-", i), context);
      if (!lane.ok()) return lane.status();
      lanes_.push_back(*std::move(lane));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::shared_ptr<const StreamStatus>> AddStream(
      const StreamConfig& config) override {
    if (!config.replay_endpoint.empty()) {
      absl::Status status = CheckConnectable("replay_endpoint", config.replay_endpoint);
      if (!status.ok()) return status;
    }
    auto subscription = EventSubscription::Connect(sockets_.get(), &budget_, options_, config);
    if (!subscription.ok()) return subscription.status();
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
    auto subscription = EventSubscription::Listen(sockets_.get(), &budget_, options_, config);
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

  absl::StatusOr<std::shared_ptr<const PushedLoad>> FollowLoad(
      const std::string& endpoint) override {
    auto subscription =
        EventSubscription::ConnectForLoad(sockets_.get(), &budget_, options_, endpoint);
    if (!subscription.ok()) return subscription.status();
    auto load = std::make_shared<PushedLoad>();
    NextLane()->AddLoad(load, &load_counts_, *std::move(subscription), endpoint);
    return load;
  }

  // Which lane has it is known to the lanes only.
  void LeaveLoad(const PushedLoad* load) override {
    for (const auto& lane : lanes_) lane->RemoveLoad(load);
  }

  const LoadSourceCounts& load_counts() const override { return load_counts_; }

  void Stop() override {
    for (const auto& lane : lanes_) lane->Stop();
  }

  std::vector<ThreadAge> ThreadAges() const override {
    std::vector<ThreadAge> ages;
    for (const auto& lane : lanes_) ages.push_back(lane->Age());
    io_watch_->AddAges(&ages);
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
    config.named_by_client = true;
    if (listener.replay_port != 0 && MayAsk(listener, *identity)) {
      config.replay_endpoint = absl::StrCat("tcp://", identity->pod, ":", listener.replay_port);
      if (!CheckConnectable("replay_endpoint", config.replay_endpoint).ok()) {
        return UnknownTopic::kNoIdentity;
      }
    }
    auto status = registry_->Open(config);
    if (!status.ok()) return UnknownTopic::kMaxStreams;
    if (on_discovered({topic, identity->host, identity->model, *status})) return *std::move(status);
    registry_->Close((*status)->id);
    return UnknownTopic::kNotWanted;
  }

  // A topic is a stranger's word: it must not decide which names we ask for.
  bool MayAsk(const ListenerConfig& listener, const TopicIdentity& identity) {
    const bool literal = IsLiteralAddress(identity.pod);
    if (literal && options_.client_networks != nullptr &&
        !options_.client_networks->Allows(std::string_view(identity.pod))) {
      return false;
    }
    if (listener.allow_host_names || literal) return true;
    if (const uint64_t lines = name_limiter_.Admit(clock_->Monotonic())) {
      LogWarning(
          "listener {}: \"{}\" is a name, not an address: its engine is not asked to replay, see "
          "listeners[].allow_host_names ({} alike not shown)",
          listener.endpoint, identity.pod, lines - 1);
    }
    return false;
  }

  Lane* NextLane() {
    return lanes_[next_lane_.fetch_add(1, std::memory_order_relaxed) % lanes_.size()].get();
  }

  const ZmqSourceOptions options_;
  StreamRegistry* const registry_;
  const Clock* const clock_;
  const std::unique_ptr<SocketContext> sockets_;
  const std::unique_ptr<Dialer> dialer_;
  SocketBudget budget_;
  std::unique_ptr<IoWatch> io_watch_;
  LogLimiter name_limiter_;
  LoadSourceCounts load_counts_;
  std::vector<std::unique_ptr<Lane>> lanes_;  // behind what their threads use
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
  auto sockets = SocketContext::Open(options.io_threads);
  if (!sockets.ok()) return sockets.status();
  auto dialer = Dialer::Start(options.names != nullptr ? options.names : NameService::System(),
                              options.dial_timeout);
  if (!dialer.ok()) return dialer.status();
  auto source = std::make_unique<ZmqSourceImpl>(options, registry, counters, clock,
                                                *std::move(sockets), *std::move(dialer));
  if (absl::Status status = source->StartThreads(counters); !status.ok()) return status;
  return source;
}

}  // namespace kvroute
