#include "indexer/source/zmq/event_subscription.h"

#include <atomic>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "indexer/base/check.h"
#include "indexer/base/limits.h"

namespace kvroute {
namespace {

std::string UniqueMonitorEndpoint() {
  static std::atomic<uint64_t> next{0};
  return absl::StrCat("inproc://kvroute-monitor-", next.fetch_add(1, std::memory_order_relaxed));
}

absl::Status CheckTopic(const std::string& topic) {
  if (topic.size() <= limits::kMaxTopicBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("topic: ", topic.size(), " bytes, the limit is ", limits::kMaxTopicBytes));
}

}  // namespace

EventSubscription::EventSubscription(SocketContext* context, const ZmqSourceOptions& options)
    : events_(context, ZMQ_SUB), monitor_(context, ZMQ_PAIR) {
  events_.ApplyCommonOptions(options);
  const std::string endpoint = UniqueMonitorEndpoint();
  constexpr int kChanges = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED |
                           ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                           ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                           ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL;
  KVROUTE_CHECK(zmq_socket_monitor(events_.get(), endpoint.c_str(), kChanges) == 0);
  KVROUTE_CHECK(zmq_connect(monitor_.get(), endpoint.c_str()) == 0);
}

EventSubscription::~EventSubscription() { zmq_socket_monitor(events_.get(), nullptr, 0); }

absl::StatusOr<std::unique_ptr<EventSubscription>> EventSubscription::Connect(
    SocketContext* context, const ZmqSourceOptions& options, const StreamConfig& config) {
  if (absl::Status status = CheckTopic(config.topic); !status.ok()) return status;
  std::unique_ptr<EventSubscription> subscription(new EventSubscription(context, options));
  if (absl::Status status = subscription->events_.ApplyCurve(config.curve); !status.ok()) {
    return status;
  }
  subscription->events_.Subscribe(config.topic);
  subscription->endpoint_ = config.event_endpoint;
  absl::Status status = subscription->events_.Connect("event_endpoint", config.event_endpoint);
  if (!status.ok()) return status;
  return subscription;
}

absl::StatusOr<std::unique_ptr<EventSubscription>> EventSubscription::Listen(
    SocketContext* context, const ZmqSourceOptions& options, const ListenerConfig& config) {
  if (absl::Status status = CheckTopic(config.topic); !status.ok()) return status;
  std::unique_ptr<EventSubscription> subscription(new EventSubscription(context, options));
  absl::Status status = subscription->events_.ApplyCurveServer(config.curve_server_secret);
  if (!status.ok()) return status;
  subscription->events_.Subscribe(config.topic);
  status = subscription->events_.Bind("endpoint", config.endpoint);
  if (!status.ok()) return status;
  return subscription;
}

// First frame: event u16, value u32, in host order; second: the address.
std::optional<EventSubscription::Change> EventSubscription::NextChange() {
  while (monitor_message_.ReceiveFrom(monitor_.get())) {
    const auto frames = monitor_message_.frames();
    if (frames.empty() || frames[0].size() < sizeof(uint16_t) + sizeof(int)) continue;
    uint16_t event = 0;
    std::memcpy(&event, frames[0].data(), sizeof(event));
    if (event == ZMQ_EVENT_MONITOR_STOPPED) continue;
    gave_up_ = event != ZMQ_EVENT_HANDSHAKE_SUCCEEDED && event != ZMQ_EVENT_CONNECT_RETRIED;
    if (event == ZMQ_EVENT_CONNECT_RETRIED) continue;
    if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) return Change::kConnected;
    if (event == ZMQ_EVENT_DISCONNECTED) {
      std::memcpy(&lost_connection_, frames[0].data() + sizeof(event), sizeof(lost_connection_));
      return Change::kDisconnected;
    }
    return Change::kRefused;
  }
  return std::nullopt;
}

void EventSubscription::Reconnect() {
  gave_up_ = false;
  // libzmq remembers the endpoint of the dead connection, and ignores a second connect to it.
  zmq_disconnect(events_.get(), endpoint_.c_str());
  // It was accepted before; should it fail now, the stream stays as it is: disconnected.
  events_.Connect("event_endpoint", endpoint_).IgnoreError();
}

}  // namespace kvroute
