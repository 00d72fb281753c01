#include "tools/publisher/zmq_publisher.h"

#include <zmq.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "indexer/base/check.h"

namespace kvroute {
namespace {

constexpr uint64_t kEndOfReplay = UINT64_MAX;
constexpr int kMaxSockets = 65'536;
constexpr size_t kMaxPendingReplays = 64;
constexpr std::chrono::seconds kBindPatience{5};
constexpr std::chrono::milliseconds kBindRetry{5};

std::string BigEndian(uint64_t value) {
  std::string bytes(8, '\0');
  for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(value >> (8 * (7 - i)));
  return bytes;
}

uint64_t FromBigEndian(std::string_view bytes) {
  uint64_t value = 0;
  for (char byte : bytes) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

// Drops the rest of the message when a peer cannot take it: PUB and ROUTER decide that at the first
// frame.
void Send(void* socket, std::string_view frame, bool more) {
  zmq_send(socket, frame.data(), frame.size(), ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
}

// All frames of the next message, or none when nothing has come.
std::vector<std::string> Receive(void* socket) {
  std::vector<std::string> frames;
  for (int more = 1; more != 0;) {
    zmq_msg_t message;
    zmq_msg_init(&message);
    if (zmq_msg_recv(&message, socket, ZMQ_DONTWAIT) < 0) {
      zmq_msg_close(&message);
      return {};
    }
    frames.emplace_back(static_cast<const char*>(zmq_msg_data(&message)), zmq_msg_size(&message));
    more = zmq_msg_more(&message);
    zmq_msg_close(&message);
  }
  return frames;
}

// Damage that no decoder can mistake for data: the envelope's first byte becomes one that msgpack
// never uses, and the middle is flipped too.
void Corrupt(std::string* payload) {
  if (payload->empty()) return;
  (*payload)[payload->size() / 2] ^= static_cast<char>(0xff);
  payload->front() = static_cast<char>(0xc1);
}

void SetKey(void* socket, int option, const std::string& key) {
  KVROUTE_CHECK(zmq_setsockopt(socket, option, key.c_str(), key.size() + 1) == 0);
}

bool TakeOne(uint64_t* count) {
  if (*count == 0) return false;
  --*count;
  return true;
}

}  // namespace

CurveKeyPair NewCurveKeyPair() {
  char public_key[41];
  char secret_key[41];
  KVROUTE_CHECK(zmq_curve_keypair(public_key, secret_key) == 0);
  return {public_key, secret_key};
}

ZmqContext::ZmqContext(int io_threads) : context_(zmq_ctx_new()) {
  KVROUTE_CHECK(context_ != nullptr);
  zmq_ctx_set(context_, ZMQ_IO_THREADS, io_threads);
  zmq_ctx_set(context_, ZMQ_MAX_SOCKETS,
              std::min(kMaxSockets, zmq_ctx_get(context_, ZMQ_SOCKET_LIMIT)));
}

ZmqContext::~ZmqContext() { zmq_ctx_term(context_); }

absl::StatusOr<std::unique_ptr<ZmqPublisher>> ZmqPublisher::Create(
    ZmqContext* context, const PublisherOptions& options) {
  std::unique_ptr<ZmqPublisher> publisher(new ZmqPublisher(context, options));
  if (absl::Status status = publisher->Open(); !status.ok()) {
    return absl::InvalidArgumentError(status.message());
  }
  return publisher;
}

ZmqPublisher::ZmqPublisher(ZmqContext* context, const PublisherOptions& options)
    : context_(context),
      options_(options),
      event_endpoint_(options.event_endpoint),
      replay_endpoint_(options.replay_endpoint) {}

ZmqPublisher::~ZmqPublisher() { Close(); }

absl::Status ZmqPublisher::Open() {
  absl::Status status = OpenSocket(ZMQ_PUB, options_.send_high_water_mark, options_.connect,
                                   &event_endpoint_, &events_);
  if (status.ok() && !replay_endpoint_.empty()) {
    status = OpenSocket(ZMQ_ROUTER, options_.replay_send_high_water_mark, false, &replay_endpoint_,
                        &replays_);
  }
  if (!status.ok()) Close();
  return status;
}

void ZmqPublisher::ApplyCurve(void* socket, bool connect) const {
  if (connect && !options_.curve_listener_public.empty()) {
    const CurveKeyPair own = NewCurveKeyPair();
    SetKey(socket, ZMQ_CURVE_SERVERKEY, options_.curve_listener_public);
    SetKey(socket, ZMQ_CURVE_PUBLICKEY, own.public_key);
    SetKey(socket, ZMQ_CURVE_SECRETKEY, own.secret_key);
  } else if (!connect && !options_.curve_server_secret.empty()) {
    const int server = 1;
    KVROUTE_CHECK(zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &server, sizeof(server)) == 0);
    SetKey(socket, ZMQ_CURVE_SECRETKEY, options_.curve_server_secret);
  }
}

absl::Status ZmqPublisher::OpenSocket(int type, int high_water_mark, bool connect,
                                      std::string* endpoint, void** socket) {
  if (*socket != nullptr) return absl::OkStatus();
  *socket = zmq_socket(context_->get(), type);
  if (*socket == nullptr) return absl::ResourceExhaustedError(zmq_strerror(zmq_errno()));
  const int linger = 0;
  zmq_setsockopt(*socket, ZMQ_SNDHWM, &high_water_mark, sizeof(high_water_mark));
  zmq_setsockopt(*socket, ZMQ_LINGER, &linger, sizeof(linger));
  ApplyCurve(*socket, connect);
  if (connect) {
    if (zmq_connect(*socket, endpoint->c_str()) == 0) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("connect ", *endpoint, ": ", zmq_strerror(zmq_errno())));
  }
  // libzmq gives a closed socket's port back a little after zmq_close.
  const auto deadline = std::chrono::steady_clock::now() + kBindPatience;
  while (zmq_bind(*socket, endpoint->c_str()) != 0) {
    if (zmq_errno() != EADDRINUSE || std::chrono::steady_clock::now() > deadline) {
      return absl::UnavailableError(
          absl::StrCat("bind ", *endpoint, ": ", zmq_strerror(zmq_errno())));
    }
    std::this_thread::sleep_for(kBindRetry);
  }
  char bound[256];
  size_t size = sizeof(bound);
  KVROUTE_CHECK(zmq_getsockopt(*socket, ZMQ_LAST_ENDPOINT, bound, &size) == 0);
  *endpoint = bound;
  return absl::OkStatus();
}

void ZmqPublisher::Close() {
  pending_.clear();
  for (void** socket : {&events_, &replays_}) {
    if (*socket != nullptr) zmq_close(*socket);
    *socket = nullptr;
  }
}

absl::Status ZmqPublisher::Restart() {
  Close();
  RestartNumbers();
  return Open();
}

void ZmqPublisher::RestartNumbers() {
  next_seq_ = 0;
  buffer_.clear();
  pending_.clear();
}

void ZmqPublisher::Publish(std::string_view payload) {
  Buffered batch{next_seq_++, std::string(payload)};
  if (TakeOne(&faults_.lose)) return;
  if (TakeOne(&faults_.corrupt)) Corrupt(&batch.payload);
  if (!TakeOne(&faults_.drop_live)) {
    SendLive(batch);
    if (TakeOne(&faults_.duplicate)) SendLive(batch);
  }
  buffer_.push_back(std::move(batch));
  while (buffer_.size() > options_.buffer_steps) buffer_.pop_front();
}

void ZmqPublisher::SendLive(const Buffered& batch) {
  if (events_ == nullptr) return;
  Send(events_, options_.topic, true);
  Send(events_, BigEndian(batch.seq), true);
  Send(events_, batch.payload, false);
}

size_t ZmqPublisher::Serve(std::chrono::milliseconds timeout) {
  if (replays_ == nullptr) return 0;
  if (pending_.empty()) {
    zmq_pollitem_t item = {.socket = replays_, .fd = 0, .events = ZMQ_POLLIN, .revents = 0};
    zmq_poll(&item, 1, timeout.count());
  }
  if (events_ !=
      nullptr) {  // has it take the subscriptions that have come; a send may not, for 1 ms
    int ready = 0;
    size_t size = sizeof(ready);
    zmq_getsockopt(events_, ZMQ_EVENTS, &ready, &size);
  }
  ReceiveRequests();
  const size_t limit = faults_.replies_per_serve == 0 ? SIZE_MAX : faults_.replies_per_serve;
  size_t sent = 0;
  while (!pending_.empty() && sent < limit) {
    ++sent;
    if (!AnswerOne(&pending_.front())) pending_.pop_front();
  }
  return sent;
}

// As the engines: anything but [client, empty, 8-byte start] is ignored without a word.
void ZmqPublisher::ReceiveRequests() {
  while (pending_.size() < kMaxPendingReplays) {
    std::vector<std::string> frames = Receive(replays_);
    if (frames.empty()) return;
    if (frames.size() != 3 || !frames[1].empty() || frames[2].size() != 8) continue;
    pending_.push_back({std::move(frames[0]), FromBigEndian(frames[2])});
  }
}

bool ZmqPublisher::AnswerOne(Replay* replay) {
  const auto batch =
      std::lower_bound(buffer_.begin(), buffer_.end(), replay->next_seq,
                       [](const Buffered& entry, uint64_t seq) { return entry.seq < seq; });
  if (batch == buffer_.end()) {
    if (!TakeOne(&faults_.drop_end_markers)) SendReply(*replay, "", kEndOfReplay, "");
    return false;
  }
  if (TakeOne(&faults_.pass_replies) || !TakeOne(&faults_.drop_replies)) {
    SendReply(*replay, options_.topic, batch->seq, batch->payload);
  }
  replay->next_seq = batch->seq + 1;
  return true;
}

void ZmqPublisher::SendReply(const Replay& replay, std::string_view topic, uint64_t seq,
                             std::string_view payload) {
  Send(replays_, replay.client, true);
  Send(replays_, "", true);
  if (options_.topic_in_replay) Send(replays_, topic, true);
  Send(replays_, BigEndian(seq), true);
  Send(replays_, payload, false);
}

}  // namespace kvroute
