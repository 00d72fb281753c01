#include "router/edge/ext_proc/picker_stream.h"

#include <algorithm>
#include <utility>

#include "indexer/base/check.h"

namespace kvroute {
namespace {

// What a piece takes besides its bytes.
constexpr size_t kPieceBytes = 128;

}  // namespace

PickerStream::PickerStream(EndpointPicker* picker, PickerHost* host, const ClientId& client)
    : picker_(picker),
      host_(host),
      client_(client),
      memory_(picker->bodies(), MemoryBudget::kUnlimited),
      usage_memory_(picker->bodies(), MemoryBudget::kUnlimited) {}

PickerStream::~PickerStream() { FreeBody(); }

void PickerStream::OnMessage(const ProxyMessage& message) {
  Learn(message);
  if (message.observability) return React(PickerInput::kObserved);
  switch (message.kind) {
    case ProxyMessageKind::kNone:
      return PickerStats::Add(picker_->stats()->unexpected_messages);
    case ProxyMessageKind::kRequestHeaders:
    case ProxyMessageKind::kRequestBody:
    case ProxyMessageKind::kRequestTrailers:
      return OnRequest(message);
    case ProxyMessageKind::kResponseHeaders:
    case ProxyMessageKind::kResponseBody:
    case ProxyMessageKind::kResponseTrailers:
      return OnResponse(message);
  }
}

// Without a word about it the bodies come in full duplex: so did they before proxies told.
void PickerStream::Learn(const ProxyMessage& message) {
  if (std::exchange(learned_, true)) return;
  if (message.modes) modes_ = *message.modes;
  PickerStats* const stats = picker_->stats();
  PickerStats::Add(stats->requests[static_cast<size_t>(modes_.request)]);
  uint64_t unreadable = 0;
  restricted_ = ReadSubset(message.metadata, &subset_, &unreadable);
  PickerStats::Add(stats->unreadable_endpoints, unreadable);
}

void PickerStream::OnRequest(const ProxyMessage& message) {
  switch (message.kind) {
    case ProxyMessageKind::kRequestHeaders:
      return React(JudgeHeaders(message), &message);
    case ProxyMessageKind::kRequestBody:
      return React(JudgeBody(message), &message);
    default:
      return React(PickerInput::kTrailers, &message);
  }
}

PickerInput PickerStream::JudgeHeaders(const ProxyMessage& message) const {
  if (message.end_of_stream || no_room_) return PickerInput::kHeadersOnly;
  switch (modes_.request) {
    case BodyMode::kFullDuplex:
      return PickerInput::kHeadersDuplex;
    case BodyMode::kBuffered:
    case BodyMode::kBufferedPartial:
      return PickerInput::kHeadersBuffered;
    case BodyMode::kStreamed:
      return modes_.body_without_waiting ? PickerInput::kHeadersStreamed
                                         : PickerInput::kHeadersBlind;
    case BodyMode::kNone:
    case BodyMode::kGrpc:
      break;
  }
  return PickerInput::kHeadersBlind;
}

// Keeps what is awaited, too.
PickerInput PickerStream::JudgeBody(const ProxyMessage& message) {
  const bool buffered = IsBuffered();
  const bool awaited =
      buffered ? state_ <= PickerState::kBuffering
               : state_ == PickerState::kHolding || state_ == PickerState::kHoldingStreamed;
  if (awaited && !Keep(message.body)) return PickerInput::kTooMuch;
  if (buffered) return PickerInput::kWholeBody;
  return message.end_of_stream ? PickerInput::kLastPiece : PickerInput::kPiece;
}

// False: there is no room for it.
bool PickerStream::Keep(std::string_view piece) {
  // In STREAMED each message is answered by itself.
  if (piece.empty() && state_ != PickerState::kHoldingStreamed) return true;
  if (body_bytes_ + piece.size() > picker_->options().max_body_bytes) return false;
  if (!memory_.TryTake(piece.size() + kPieceBytes)) return false;
  pieces_.push_back(piece.empty() ? piece : host_->Keep(piece));
  body_bytes_ += piece.size();
  return true;
}

void PickerStream::FreeBody() {
  if (pieces_.empty()) return;
  pieces_.clear();
  body_bytes_ = 0;
  host_->Release();
  memory_.GiveBackAll();
}

void PickerStream::OnTick(Nanos now) {
  if (now < deadline_) return;
  deadline_ = Nanos::max();
  React(PickerInput::kTimeUp);
}

void PickerStream::OnClosed() { React(PickerInput::kGone); }

void PickerStream::React(PickerInput input, const ProxyMessage* message) {
  const PickerCell& cell = CellOf(state_, input);
  step_ = {state_, input};
  if (visits_ != nullptr) {
    ++visits_->visits[static_cast<size_t>(state_)][static_cast<size_t>(input)];
  }
  switch (cell.reaction) {
    case PickerReaction::kNever:
      KVROUTE_CHECK(false);
      return;
    case PickerReaction::kIgnore:
      return PickerStats::Add(picker_->stats()->unexpected_messages);
    case PickerReaction::kWatch:
      picker_->stats()->Count(PickOutcome::kObserved);
      return Enter(PickerState::kWatching);
    case PickerReaction::kHold:
      return Hold(*message);
    case PickerReaction::kAnswerHeaders:
      TakeHeaders(*message);
      Answer(Reply::Kind::kRequestHeaders);
      return Enter(PickerState::kBuffering);
    case PickerReaction::kCollect:
      ++owed_pieces_;
      return;
    case PickerReaction::kPickBlind:
      return PickBlind(*message);
    case PickerReaction::kPick:
      return PickByBody(*message);
    case PickerReaction::kPickByLoad:
      return StopWaiting(message);
    case PickerReaction::kTell:
      return Tell();
    case PickerReaction::kRefuse:
      host_->Send({.kind = Reply::Kind::kImmediate, .refusal = &*refusal_});
      FreeBody();
      return Enter(PickerState::kRefused);
    case PickerReaction::kPassWithoutPick:
      picker_->stats()->Count(PickOutcome::kNoHeaders);
      [[fallthrough]];
    case PickerReaction::kPass:
      Pass(Reply::Kind::kRequestBody, modes_.request, *message);
      return Enter(input == PickerInput::kLastPiece ? PickerState::kSent : PickerState::kPassing);
    case PickerReaction::kAnswerTrailers:
      // A body that was passed on without a pick has been counted; none was awaited here.
      if (step_.state <= PickerState::kBuffering) picker_->stats()->Count(PickOutcome::kNoHeaders);
      Answer(Reply::Kind::kRequestTrailers);
      return Enter(PickerState::kSent);
    case PickerReaction::kOweTrailers:
      return Enter(PickerState::kPickingTrailers);
    case PickerReaction::kEnd:
      End();
      return Enter(PickerState::kClosed);
  }
}

void PickerStream::Enter(PickerState next) {
  const PickerCell& cell = CellOf(step_.state, step_.input);
  KVROUTE_CHECK(next == state_ || cell.leads_to.Contains(next));
  if (visits_ != nullptr && next != step_.state) {
    visits_->led_to[static_cast<size_t>(step_.state)][static_cast<size_t>(step_.input)].Add(next);
  }
  state_ = next;
}

void PickerStream::Hold(const ProxyMessage& message) {
  TakeHeaders(message);
  const PickerOptions& options = picker_->options();
  const bool duplex = step_.input == PickerInput::kHeadersDuplex;
  // Where the proxy's message_timeout runs, rather a tick too early than too late.
  deadline_ = picker_->Now() + (duplex ? Nanos(options.body_timeout)
                                       : Nanos(options.buffered_pick_timeout) - kTickEvery);
  Enter(duplex ? PickerState::kHolding : PickerState::kHoldingStreamed);
}

// A request that the proxy ends before it was picked for leaves nothing behind.
void PickerStream::End() {
  if (std::exchange(reading_, false)) host_->LeaveReading();
  if (std::exchange(rendering_, false)) host_->CancelRender();
  deadline_ = Nanos::max();
  FreeBody();
  PickerStats* const stats = picker_->stats();
  if (learned_ && step_.state <= PickerState::kPickingTrailers) stats->Count(PickOutcome::kLeft);
  if (pick_.lease.empty()) return;
  if (response_ == ResponseState::kOver || EndIsTold()) {
    EndLease();
  } else {
    PickerStats::Add(stats->leases_left);
  }
}

// Whether the proxy keeps the stream open until the response has ended. One that shows no response
// bodies closes it long before: but not where it buffers the request, as measured.
bool PickerStream::EndIsTold() const {
  if (modes_.response != BodyMode::kNone) return true;
  return modes_.request != BodyMode::kNone && modes_.request != BodyMode::kFullDuplex &&
         modes_.request != BodyMode::kGrpc;
}

void PickerStream::EndLease() {
  picker_->Ended(pick_, client_, TakeUsage());
  pick_.lease.clear();
}

}  // namespace kvroute
