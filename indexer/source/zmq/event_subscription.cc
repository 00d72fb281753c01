#include "indexer/source/zmq/event_subscription.h"

#include <poll.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "indexer/base/limits.h"
#include "indexer/source/zmq/endpoint.h"

namespace kvroute {
namespace {

std::string UniqueMonitorEndpoint() {
  static std::atomic<uint64_t> next{0};
  return absl::StrCat(kMonitorEndpoints, next.fetch_add(1, std::memory_order_relaxed));
}

constexpr char kLoadTopic[] = "load";  // SGLang's

// Connections that a listener's queue takes until they are accepted. Where there are few
// descriptors it is short: so many are kept for it.
size_t ListenBacklog(const SocketBudget& budget) {
  constexpr size_t kMost = 100;  // as many as libzmq's
  constexpr size_t kLeast = 8;
  constexpr size_t kPart = 40;
  return std::clamp(budget.limits().descriptors / kPart, kLeast, kMost);
}

bool IsShortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

absl::Status CheckTopic(const std::string& topic) {
  if (topic.size() <= limits::kMaxTopicBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("topic: ", topic.size(), " bytes, the limit is ", limits::kMaxTopicBytes));
}

}  // namespace

absl::StatusOr<std::unique_ptr<EventSubscription>> EventSubscription::Open(
    SocketContext* context, SocketBudget* budget, const ZmqSourceOptions& options,
    const std::string& topic) {
  if (absl::Status status = CheckTopic(topic); !status.ok()) return status;
  auto share = budget->TakeForStream(kSubscriptionCost);
  if (!share.ok()) return share.status();
  std::unique_ptr<EventSubscription> subscription(new EventSubscription());
  subscription->share_ = *std::move(share);
  auto events = ZmqSocket::Open(context, ZMQ_SUB);
  auto monitor = ZmqSocket::Open(context, ZMQ_PAIR);
  if (!events.ok()) return events.status();
  if (!monitor.ok()) return monitor.status();
  subscription->events_ = *std::move(events);
  subscription->monitor_ = *std::move(monitor);
  subscription->events_->ApplyCommonOptions(options);
  subscription->events_->LeaveReconnecting();
  const int queued = QueuedBatches(options);
  subscription->events_->SetInt(ZMQ_RCVHWM, queued);
  subscription->resumes_at_ = (static_cast<uint64_t>(queued) + 1) / 2;
  const std::string endpoint = UniqueMonitorEndpoint();
  constexpr int kChanges = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                           ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CONNECT_RETRIED |
                           ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                           ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_LISTENING |
                           ZMQ_EVENT_ACCEPT_FAILED;
  if (zmq_socket_monitor(subscription->events_->get(), endpoint.c_str(), kChanges) != 0 ||
      zmq_connect(subscription->monitor_->get(), endpoint.c_str()) != 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("max_open_files: no monitor of a socket: ", zmq_strerror(zmq_errno())));
  }
  subscription->events_->Subscribe(topic);
  return subscription;
}

EventSubscription::~EventSubscription() {
  if (events_ != nullptr) zmq_socket_monitor(events_->get(), nullptr, 0);
}

absl::StatusOr<std::unique_ptr<EventSubscription>> EventSubscription::Connect(
    SocketContext* context, SocketBudget* budget, const ZmqSourceOptions& options,
    const StreamConfig& config) {
  absl::Status status = CheckConnectable("event_endpoint", config.event_endpoint);
  if (!status.ok()) return status;
  auto subscription = Open(context, budget, options, config.topic);
  if (!subscription.ok()) return subscription.status();
  status = (*subscription)->events_->ApplyCurve(config.curve);
  if (status.ok() && !NamesHost(config.event_endpoint)) {
    status = (*subscription)->ConnectTo(config.event_endpoint);
  }
  if (!status.ok()) return status;
  return subscription;
}

absl::StatusOr<std::unique_ptr<EventSubscription>> EventSubscription::ConnectForLoad(
    SocketContext* context, SocketBudget* budget, const ZmqSourceOptions& options,
    const std::string& endpoint) {
  ZmqSourceOptions few = options;
  few.receive_high_water_mark = limits::kMaxQueuedLoads;
  few.received_memory = nullptr;  // at most kMaxQueuedLoads * kMaxLoadBytes
  absl::Status status = CheckConnectable("load_endpoint", endpoint);
  if (!status.ok()) return status;
  auto subscription = Open(context, budget, few, kLoadTopic);
  if (!subscription.ok()) return subscription.status();
  (*subscription)->events_->SetMaxMessageBytes(limits::kMaxLoadBytes);
  if (!NamesHost(endpoint)) status = (*subscription)->ConnectTo(endpoint);
  if (!status.ok()) return status;
  return subscription;
}

absl::StatusOr<std::unique_ptr<EventSubscription>> EventSubscription::Listen(
    SocketContext* context, SocketBudget* budget, const ZmqSourceOptions& options,
    const ListenerConfig& config) {
  auto subscription = Open(context, budget, options, config.topic);
  if (!subscription.ok()) return subscription.status();
  ZmqSocket* const events = (*subscription)->events_.get();
  absl::Status status = events->ApplyCurveServer(config.curve_server_secret);
  if (!status.ok()) return status;
  const size_t backlog = ListenBacklog(*budget);
  auto share = budget->TakeForStream({.descriptors = backlog + 1});
  if (!share.ok()) return share.status();
  (*subscription)->reserve_share_ = *std::move(share);
  (*subscription)->reserve_.emplace(backlog);
  events->SetInt(ZMQ_BACKLOG, static_cast<int>(backlog));
  status = events->Bind("endpoint", config.endpoint);
  if (!status.ok()) return status;
  if (!(*subscription)->reserve_->Take()) {
    return absl::ResourceExhaustedError("max_open_files: no file descriptors for a listener");
  }
  return subscription;
}

bool EventSubscription::Receive(Multipart* message) {
  if (reset_ || (connection_ >= 0 && WouldResumeAReset())) return false;
  peeked_ = false;
  if (!message->ReceiveFrom(events_->get())) return false;
  ++received_;
  return true;
}

// When a queue is full, libzmq leaves the rest of what it has received undecoded, and goes on when
// so many messages have been read. If there is a ping in it and the connection was reset meanwhile,
// libzmq ends the process (docs/decisions/0027). So what came by a connection that was reset is
// read up to there.
bool EventSubscription::WouldResumeAReset() {
  if ((received_ + 1) % resumes_at_ > 1) return false;
  pollfd connection{.fd = connection_, .events = 0, .revents = 0};
  if (poll(&connection, 1, 0) != 1 || (connection.revents & (POLLERR | POLLHUP)) == 0) return false;
  reset_ = reset_untold_ = lost_ = true;
  return true;
}

bool EventSubscription::PauseAccepting() {
  if (!reserve_.has_value() || reserve_->paused() || listening_fd_ < 0) return false;
  reserve_->Pause(listening_fd_);
  return true;
}

bool EventSubscription::ResumeAccepting() {
  return reserve_.has_value() && reserve_->paused() && reserve_->TryResume(listening_fd_);
}

// First frame: event u16, value u32, in host order; second: the address.
std::optional<EventSubscription::Change> EventSubscription::NextChange() {
  if (std::exchange(reset_untold_, false)) return Change::kDisconnected;
  while (monitor_message_.ReceiveFrom(monitor_->get())) {
    const auto frames = monitor_message_.frames();
    if (frames.empty() || frames[0].size() < sizeof(uint16_t) + sizeof(int)) continue;
    uint16_t event = 0;
    int value = 0;  // a descriptor, or an error
    std::memcpy(&event, frames[0].data(), sizeof(event));
    std::memcpy(&value, frames[0].data() + sizeof(event), sizeof(value));
    if (event == ZMQ_EVENT_MONITOR_STOPPED) continue;
    if (event == ZMQ_EVENT_LISTENING) listening_fd_ = value;
    if (event == ZMQ_EVENT_ACCEPT_FAILED && IsShortage(value)) return Change::kNotAccepted;
    if (event == ZMQ_EVENT_LISTENING || event == ZMQ_EVENT_ACCEPT_FAILED) continue;
    if (event == ZMQ_EVENT_CONNECTED) connection_ = value;
    if (event == ZMQ_EVENT_CONNECTED) continue;
    if (event == ZMQ_EVENT_DISCONNECTED) connection_ = -1;
    lost_ = event != ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
    if (event == ZMQ_EVENT_CONNECT_RETRIED) continue;  // as it says: it never will
    if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) return Change::kConnected;
    if (event == ZMQ_EVENT_DISCONNECTED) {
      lost_connection_ = value;
      return Change::kDisconnected;
    }
    return Change::kRefused;
  }
  return std::nullopt;
}

// Whose first frame libzmq has taken out already has to be read whole: it ends the process when the
// rest is gone.
void EventSubscription::Disconnect() {
  if (std::exchange(peeked_, false)) {
    Multipart thrown_away;
    (void)thrown_away.ReceiveFrom(events_->get());
  }
  zmq_disconnect(events_->get(), endpoint_.c_str());
}

absl::Status EventSubscription::ConnectTo(const std::string& endpoint) {
  lost_ = reset_ = reset_untold_ = false;
  connection_ = -1;
  received_ = 0;
  // libzmq remembers the endpoint of a dead connection, and ignores a second connect to it.
  if (!endpoint_.empty()) Disconnect();
  endpoint_ = endpoint;
  return events_->Connect("event_endpoint", endpoint);
}

void EventSubscription::Reconnect() {
  // It was accepted before; should it fail now, the stream stays as it is: disconnected.
  if (!endpoint_.empty()) ConnectTo(std::string(endpoint_)).IgnoreError();
}

}  // namespace kvroute
