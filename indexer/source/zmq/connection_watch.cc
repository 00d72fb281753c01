#include "indexer/source/zmq/connection_watch.h"

#include <algorithm>

#include "indexer/base/log_fields.h"

namespace kvroute {
namespace {

std::string_view TextOf(ConnectTrouble trouble, bool curve) {
  switch (trouble) {
    case ConnectTrouble::kNone:
      return "it answers";
    case ConnectTrouble::kNoSuchHost:
      return "there is no such host";
    case ConnectTrouble::kNameServer:
      return "the name server does not answer";
    case ConnectTrouble::kRefused:
      return "nothing listens at the port";
    case ConnectTrouble::kNoAnswer:
      return "nothing comes back from the address";
    case ConnectTrouble::kUnreachable:
      return "there is no way to the address";
    case ConnectTrouble::kHandshake:
      return curve ? "the port answers and completes no ZeroMQ handshake: are the CURVE keys right?"
                   : "the port answers and completes no ZeroMQ handshake: is it another service's, "
                     "or does the engine ask for CURVE?";
    case ConnectTrouble::kDescriptors:
      return "this process has no file descriptor left";
    case ConnectTrouble::kOther:
      break;
  }
  return "there is no connection";
}

}  // namespace

ConnectionWatch::ConnectionWatch(const LaneContext& lane, StreamStatus* status,
                                 EventSubscription* subscription)
    : lane_(lane),
      status_(status),
      subscription_(subscription),
      endpoint_(ParseTcpEndpoint(status->config.event_endpoint)) {
  if (endpoint_.has_value() && subscription_->connects_to().empty()) {
    call_ = lane_.dialer->Dial(*endpoint_, Dialer::Purpose::kAddress);
  }
}

void ConnectionWatch::Tick() {
  const Nanos now = lane_.clock->Monotonic();
  if (status_->connected.load(std::memory_order_relaxed)) {
    since_.reset();
    call_.reset();
    not_at_.clear();
    return SetTrouble(ConnectTrouble::kNone);
  }
  if (!since_.has_value()) {
    since_ = now;
    pause_ = kPatience;
    look_at_ = now + pause_;
    answers_since_.reset();
  }
  if (call_ != nullptr && call_->done()) {
    const auto call = std::move(call_);
    call_ = nullptr;
    TakeAnswer(call->dialed());
  }
  if (call_ == nullptr && now >= look_at_) Look(now);
  if (now >= say_at_ && status_->connect_trouble.load() != ConnectTrouble::kNone) Say(now);
}

void ConnectionWatch::Look(Nanos now) {
  look_at_ = now + pause_;
  pause_ = std::clamp<Nanos>(pause_ * 2, kPatience,
                             std::max<Nanos>(kPatience, lane_.options->reconnect_max));
  if (!endpoint_.has_value()) return SetTrouble(ConnectTrouble::kOther);
  call_ = lane_.dialer->Dial(*endpoint_, Dialer::Purpose::kDiagnosis, not_at_);
}

void ConnectionWatch::TakeAnswer(const Dialed& dialed) {
  const bool moved = dialed.endpoint != subscription_->connects_to();
  if (moved || dialed.trouble != ConnectTrouble::kNone) answers_since_.reset();
  if (dialed.trouble != ConnectTrouble::kNone) return SetTrouble(dialed.trouble);
  if (moved) {
    const bool ok = subscription_->ConnectTo(dialed.endpoint).ok();
    return SetTrouble(ok ? ConnectTrouble::kNone : ConnectTrouble::kOther);
  }
  const Nanos now = lane_.clock->Monotonic();
  if (!answers_since_.has_value()) answers_since_ = now;
  // Up to reconnect_max it may be libzmq that does not try.
  if (now - *answers_since_ <= lane_.options->reconnect_max + kPatience) {
    return SetTrouble(ConnectTrouble::kNone);
  }
  not_at_ = dialed.endpoint;
  SetTrouble(ConnectTrouble::kHandshake);
}

void ConnectionWatch::OnRefused() {
  not_at_ = subscription_->connects_to();
  SetTrouble(ConnectTrouble::kHandshake);
}

void ConnectionWatch::SetTrouble(ConnectTrouble trouble) {
  status_->connect_trouble.store(trouble, std::memory_order_relaxed);
}

void ConnectionWatch::Say(Nanos now) {
  say_at_ = now + kBetweenLines;
  const uint64_t lines = lane_.connect_log->Admit(now);
  if (lines == 0) return;
  const StreamConfig& config = status_->config;
  const ConnectTrouble trouble = status_->connect_trouble.load();
  LogWith(LogLevel::kWarning,
          {{"worker", config.worker_id},
           {"rank", uint64_t{config.rank}},
           {"endpoint", config.event_endpoint},
           {"reason", ConnectTroubleName(trouble)}},
          "stream {}/{}: not connected to {} for {} s: {} ({}) ({} alike not shown)",
          config.worker_id, config.rank, config.event_endpoint,
          std::chrono::duration_cast<std::chrono::seconds>(now - *since_).count(),
          TextOf(trouble, !config.curve.server_public.empty()), ConnectTroubleName(trouble),
          lines - 1);
}

}  // namespace kvroute
