// What is passed through a stream, and what the response says of the lease.
#include <algorithm>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "router/edge/ext_proc/picker_stream.h"

namespace kvroute {
namespace {

// Of a body that goes back in pieces: proxies take up to 64 KiB in any case.
constexpr size_t kMaxPieceBytes = 62'000;

bool IsEchoed(BodyMode mode) { return mode == BodyMode::kFullDuplex || mode == BodyMode::kGrpc; }

}  // namespace

void PickerStream::Pass(Reply::Kind kind, BodyMode mode, const ProxyMessage& message) {
  if (!IsEchoed(mode)) return Answer(kind);
  SendBody(kind, absl::MakeConstSpan(&message.body, 1), message.end_of_stream);
}

// In as few messages as may be, whatever the pieces are.
void PickerStream::SendBody(Reply::Kind kind, absl::Span<const std::string_view> pieces,
                            bool end_of_stream) {
  absl::InlinedVector<std::string_view, 8> parts;  // of one message
  size_t room = kMaxPieceBytes;
  const auto send = [&](bool last) {
    host_->Send({.kind = kind, .form = BodyForm::kStreamed, .body = parts, .end_of_stream = last});
    parts.clear();
    room = kMaxPieceBytes;
  };
  for (std::string_view piece : pieces) {
    while (!piece.empty()) {
      if (room == 0) send(false);
      parts.push_back(piece.substr(0, room));
      piece.remove_prefix(parts.back().size());
      room -= parts.back().size();
    }
  }
  if (!parts.empty() || end_of_stream) send(end_of_stream);
}

ResponseInput PickerStream::JudgeResponse(const ProxyMessage& message) const {
  switch (message.kind) {
    case ProxyMessageKind::kResponseHeaders:
      if (message.end_of_stream) return ResponseInput::kHeadersOnly;
      return modes_.response == BodyMode::kNone ? ResponseInput::kHeadersBlind
                                                : ResponseInput::kHeaders;
    case ProxyMessageKind::kResponseBody:
      if (message.end_of_stream) return ResponseInput::kLastPiece;
      return message.body.empty() ? ResponseInput::kEmptyPiece : ResponseInput::kPiece;
    default:
      return ResponseInput::kTrailers;
  }
}

// However it stands with the request: a response may come before its body has ended.
void PickerStream::OnResponse(const ProxyMessage& message) {
  PickerStats* const stats = picker_->stats();
  const ResponseInput input = JudgeResponse(message);
  const ResponseCell& cell = CellOf(response_, input);
  const bool answered = state_ != PickerState::kWatching && state_ != PickerState::kRefused;
  if (!answered || cell.step == LeaseStep::kUnanswered) {
    return PickerStats::Add(stats->unexpected_messages);
  }
  if (visits_ != nullptr) {
    ++visits_->response_visits[static_cast<size_t>(response_)][static_cast<size_t>(input)];
  }
  response_ = cell.leads_to;
  if (message.kind == ProxyMessageKind::kResponseHeaders) {
    const ResponseHeaders headers = ReadResponseHeaders(message.headers);
    PickerStats::Add(stats->responses[static_cast<size_t>(std::clamp(headers.status / 100, 0, 5))]);
    BeginUsage(headers, message.end_of_stream);
  }
  if (usage_ != nullptr && message.kind == ProxyMessageKind::kResponseBody) {
    ReadUsage(message.body);
  }
  const std::string_view served = served_known_ ? std::string_view() : ReadServed(message.metadata);
  if (!served.empty()) {
    served_known_ = true;
    if (pick_.is_fixture) served_ = served;
    const std::string_view picked = std::string_view(pick_.endpoints);
    if (!pick_.endpoints.empty() && served != picked.substr(0, picked.find(','))) {
      picker_->ServedBy(pick_, served, client_);
    }
  }
  if (cell.step == LeaseStep::kPrefilled) picker_->Prefilled(pick_, client_);
  if (cell.step == LeaseStep::kEnded) EndLease();
  AnswerResponse(message);
}

// Only what may have a usage is read for it.
void PickerStream::BeginUsage(const ResponseHeaders& headers, bool end_of_stream) {
  if (pick_.lease.empty()) return;
  if (!headers.succeeded()) {
    no_usage_ = UsageEnd::kFailed;
  } else if (end_of_stream) {
    no_usage_ = UsageEnd::kAbsent;
  } else if (modes_.response == BodyMode::kNone) {
    no_usage_ = UsageEnd::kNotShown;
  } else {
    usage_ = std::make_unique<UsageReader>();
    usage_->Begin(headers.content_type, headers.content_encoding);
  }
}

void PickerStream::ReadUsage(std::string_view piece) {
  usage_->Append(piece);
  const uint64_t kept = usage_->kept_bytes();
  if (kept <= usage_memory_.bytes() || usage_memory_.TryTake(kept - usage_memory_.bytes())) return;
  no_usage_ = UsageEnd::kMemory;
  usage_.reset();
  usage_memory_.GiveBackAll();
}

// What is known of the response, which has ended or is given up.
AnswerUsage PickerStream::TakeUsage() {
  if (usage_ == nullptr) {
    const bool unseen = no_usage_ == UsageEnd::kCut && modes_.response == BodyMode::kNone;
    return {{}, unseen ? UsageEnd::kNotShown : no_usage_};
  }
  AnswerUsage answer = usage_->End();
  usage_.reset();
  usage_memory_.GiveBackAll();
  if (answer.end == UsageEnd::kAbsent && response_ != ResponseState::kOver) {
    answer.end = UsageEnd::kCut;
  }
  return answer;
}

void PickerStream::AnswerResponse(const ProxyMessage& message) {
  switch (message.kind) {
    case ProxyMessageKind::kResponseHeaders:
      return host_->Send(
          {.kind = Reply::Kind::kResponseHeaders,
           .served = pick_.is_fixture ? std::string_view(served_) : std::string_view()});
    case ProxyMessageKind::kResponseBody:
      return Pass(Reply::Kind::kResponseBody, modes_.response, message);
    default:
      return Answer(Reply::Kind::kResponseTrailers);
  }
}

}  // namespace kvroute
