// Where a request goes.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "indexer/base/limits.h"
#include "indexer/base/text.h"
#include "router/edge/ext_proc/picker_stream.h"

namespace kvroute {

void PickerStream::BeginPick(Reply::Kind told_in, PickerState after) {
  pick_began_ = picker_->Now();
  held_in_ = step_.state;
  told_in_ = told_in;
  after_pick_ = after;
  Enter(step_.input == PickerInput::kTrailers ? PickerState::kPickingTrailers
                                              : PickerState::kPicking);
}

void PickerStream::TakeHeaders(const ProxyMessage& message) {
  headers_ = ReadRequestHeaders(message.headers);
  picker_->Select(headers_.fixture_selection, &subset_, &restricted_);
  std::string& rewrite = headers_.model_rewrite;
  if (rewrite.empty() || (rewrite.size() <= limits::kMaxModelBytes && IsOneLine(rewrite))) return;
  rewrite.clear();
  picker_->stats()->Count(Rewrite::kBadName);
}

// Headers alone decide: there is no body, or it will not be shown in time.
void PickerStream::PickBlind(const ProxyMessage& message) {
  TakeHeaders(message);
  const bool no_body = message.end_of_stream;
  if (!no_body) LeaveModel();
  BeginPick(Reply::Kind::kRequestHeaders, no_body ? PickerState::kSent
                                          : modes_.request == BodyMode::kNone
                                              ? PickerState::kBodyDone
                                              : PickerState::kPassing);
  if (no_room_) {
    picker_->stats()->Count(PickOutcome::kStreams);
    return Conclude(Refusal{503, "server_error", "too_many_streams", "rejected-saturated",
                            "picker.max_streams: the endpoint picker serves no more requests"});
  }
  PickByLoad(no_body ? NoPrompt::kNone : NoPrompt::kNotShown);
}

// The body is whole, as far as its proxy shows it.
void PickerStream::PickByBody(const ProxyMessage& message) {
  if (step_.input == PickerInput::kWholeBody) {
    const bool whole = message.end_of_stream;
    BeginPick(Reply::Kind::kRequestBody, whole ? PickerState::kSent : PickerState::kBodyDone);
    return ReadBody(!whole && modes_.request == BodyMode::kBufferedPartial);
  }
  if (step_.input == PickerInput::kLastPiece) ++owed_pieces_;
  BeginPick(Reply::Kind::kRequestHeaders, PickerState::kSent);
  ReadBody(/*cut=*/false);
}

// What takes long to read must not keep the other streams waiting.
void PickerStream::ReadBody(bool cut) {
  cut_ = cut;
  deadline_ = Nanos::max();
  if (body_bytes_ > picker_->options().max_short_body_bytes &&
      host_->ReadElsewhere(headers_, pieces_)) {
    reading_ = true;
    deadline_ = PickDeadline();
    return;
  }
  PickByBodyText(picker_->Read(headers_, pieces_));
}

void PickerStream::OnBodyRead(const BodyText& read) {
  if (!std::exchange(reading_, false)) return;
  deadline_ = Nanos::max();
  PickByBodyText(read);
}

void PickerStream::PickByBodyText(const BodyText& read) {
  const RequestBody& body = read.body();
  if (headers_.model_rewrite.empty()) headers_.model_rewrite = picker_->RewriteOf(body.model);
  // Of a body that is cut off the rest is on its way.
  if (cut_) LeaveModel();
  terms_ = picker_->TermsOf(headers_, body, body_bytes_);
  if (!headers_.model_rewrite.empty()) NoteRewrite(read);
  if (body.unscored != Unscored::kNo) {
    std::optional<Refusal> refusal = cut_ ? std::nullopt : picker_->RefuseBody(body);
    return refusal ? Conclude(std::move(refusal)) : PickByLoad(NoPrompt::kBody);
  }
  if (!terms_.model.known) return PickByLoad(NoPrompt::kUnknownModel);
  if (body.has_tokens()) return Conclude(picker_->ByPrompt(For(), terms_, body.prompt(), &pick_));
  if (const auto known = host_->Recall(body, read.text(), terms_.model.model)) {
    return PickRendered(*known);
  }
  const PickerOptions& options = picker_->options();
  const Nanos deadline = PickDeadline();
  if (IsBuffered() && options.message_timeout.count() != 0) {
    host_->Send({.kind = Reply::Kind::kWait, .wait = options.message_timeout});
  }
  if (!host_->Render(body, read.text(), terms_.model.model, deadline)) {
    return PickByLoad(NoPrompt::kRender);
  }
  rendering_ = true;
  deadline_ = deadline;  // which the renderer keeps: to be sure
  // What the proxy holds itself is needed here only if it is to leave as another.
  if (held_in_ != PickerState::kHolding && rewrite_bytes_ == 0) FreeBody();
}

// Where the proxy's message_timeout runs, less than that.
Nanos PickerStream::PickDeadline() const {
  const PickerOptions& options = picker_->options();
  if (modes_.request == BodyMode::kFullDuplex) return pick_began_ + options.pick_timeout;
  if (!IsBuffered() || options.message_timeout.count() == 0) {
    return pick_began_ + options.buffered_pick_timeout;
  }
  return pick_began_ +
         std::min(options.pick_timeout, options.message_timeout - options.message_timeout / 4);
}

// The body goes on with the model that it names, and so the request goes where that is served.
void PickerStream::LeaveModel() {
  if (headers_.model_rewrite.empty()) return;
  headers_.model_rewrite.clear();
  picker_->stats()->Count(Rewrite::kNotShown);
}

void PickerStream::NoteRewrite(const BodyText& read) {
  const RequestBody& body = read.body();
  picker_->stats()->Count(body.raw_model.empty() ? Rewrite::kNoModel : Rewrite::kDone);
  if (body.raw_model.empty()) return;
  rewrite_at_ = static_cast<size_t>(body.raw_model.data() - read.text().view().data());
  rewrite_bytes_ = body.raw_model.size();
}

// The body with another model, which is written as JSON has it.
std::vector<std::string_view> PickerStream::Rewritten(std::string_view model) const {
  std::vector<std::string_view> pieces;
  const auto keep = [&](size_t from, size_t to) {  // of the body
    for (const std::string_view piece : pieces_) {
      if (from < piece.size() && to > from) pieces.push_back(piece.substr(from, to - from));
      from -= std::min(from, piece.size());
      to -= std::min(to, piece.size());
    }
  };
  keep(0, rewrite_at_);
  pieces.push_back(model);
  keep(rewrite_at_ + rewrite_bytes_, body_bytes_);
  return pieces;
}

// The other model stands where the one before begins; what that goes on into loses its part of it.
void PickerStream::AnswerHeldPieces(std::string_view model) {
  const size_t owed = std::exchange(owed_pieces_, 0);
  const size_t end = rewrite_at_ + rewrite_bytes_;
  size_t at = 0;  // in the body
  for (size_t i = 0; i < owed; ++i) {
    const std::string_view piece = rewrite_bytes_ == 0 ? std::string_view() : pieces_[i];
    const size_t next = at + piece.size();
    if (next <= rewrite_at_ || at >= end || piece.empty()) {
      Answer(Reply::Kind::kRequestBody);
    } else {
      const bool begins = at <= rewrite_at_;
      const std::string_view parts[] = {piece.substr(0, begins ? rewrite_at_ - at : 0),
                                        begins ? model : std::string_view(),
                                        piece.substr(std::min(end, next) - at)};
      host_->Send({.kind = Reply::Kind::kRequestBody, .form = BodyForm::kReplaced, .body = parts});
    }
    at = next;
  }
}

void PickerStream::OnRendered(RenderedPrompt prompt) {
  if (!std::exchange(rendering_, false)) return;
  deadline_ = Nanos::max();
  PickRendered(prompt);
}

void PickerStream::PickRendered(const RenderedPrompt& prompt) {
  PickerStats::Add(picker_->stats()->renders[static_cast<size_t>(prompt.failure)]);
  if (!prompt.ok()) return PickByLoad(NoPrompt::kRender);
  if (!prompt.cache_salt.empty()) terms_.cache_salt = prompt.cache_salt;
  std::vector<MultimodalInput> inputs;
  Conclude(picker_->ByPrompt(For(), terms_, prompt.View(&inputs), &pick_));
}

// A body that is too long, or a time that is up: what is known decides. Whatever comes after it is
// passed through.
void PickerStream::StopWaiting(const ProxyMessage* message) {
  deadline_ = Nanos::max();
  if (step_.input == PickerInput::kTimeUp) {
    if (std::exchange(reading_, false)) {
      host_->LeaveReading();
      LeaveModel();
      terms_.bytes = body_bytes_;
      return PickByLoad(NoPrompt::kBodyTime);
    }
    if (step_.state == PickerState::kPicking || step_.state == PickerState::kPickingTrailers) {
      if (std::exchange(rendering_, false)) host_->CancelRender();
      PickerStats::Add(picker_->stats()->renders[static_cast<size_t>(RenderFailure::kDeadline)]);
      return PickByLoad(NoPrompt::kRender);
    }
    LeaveModel();
    BeginPick(Reply::Kind::kRequestHeaders, PickerState::kPassing);
    return PickByLoad(NoPrompt::kBodyTime);
  }
  LeaveModel();
  const size_t size = body_bytes_ + message->body.size();
  const NoPrompt why =
      size > picker_->options().max_body_bytes ? NoPrompt::kBodyLimit : NoPrompt::kBodyMemory;
  terms_.bytes = size;
  if (IsBuffered()) {
    BeginPick(Reply::Kind::kRequestBody,
              message->end_of_stream ? PickerState::kSent : PickerState::kBodyDone);
    return PickByLoad(why);
  }
  BeginPick(Reply::Kind::kRequestHeaders, PickerState::kPassing);
  PickByLoad(why);
  if (state_ != PickerState::kPassing) return;
  React(message->end_of_stream ? PickerInput::kLastPiece : PickerInput::kPiece, message);
}

void PickerStream::PickByLoad(NoPrompt why) {
  Conclude(picker_->ByLoad(For(), terms_, why, &pick_));
}

void PickerStream::Conclude(std::optional<Refusal> refusal) {
  picker_->stats()->pick_latency.Observe(picker_->Now() - pick_began_);
  refusal_ = std::move(refusal);
  React(refusal_ ? PickerInput::kNobody : PickerInput::kPicked);
}

// The pick first, then in order what came before it and was not answered.
void PickerStream::Tell() {
  const bool trailers = step_.state == PickerState::kPickingTrailers;
  PickerStats::Add(picker_->stats()->removed_headers,
                   static_cast<uint64_t>(__builtin_popcount(headers_.to_remove)));
  const bool duplex = held_in_ == PickerState::kHolding;
  const std::string model =
      rewrite_bytes_ == 0 ? std::string() : JsonString(headers_.model_rewrite);
  std::vector<std::string_view> rewritten;
  if (rewrite_bytes_ != 0) rewritten = Rewritten(model);
  const absl::Span<const std::string_view> body = rewrite_bytes_ == 0 ? pieces_ : rewritten;
  Reply told = {.kind = told_in_, .pick = &pick_, .to_remove = headers_.to_remove};
  if (rewrite_bytes_ != 0 && !duplex) {
    // In full duplex the proxy takes the length off.
    if (headers_.has_length) told.content_length = body_bytes_ - rewrite_bytes_ + model.size();
    if (IsBuffered()) told.form = BodyForm::kReplaced;
    if (IsBuffered()) told.body = body;
  }
  host_->Send(told);
  // With trailers it is they that end the body.
  if (duplex) {
    SendBody(Reply::Kind::kRequestBody, body, !trailers && after_pick_ == PickerState::kSent);
  }
  if (held_in_ == PickerState::kHoldingStreamed) AnswerHeldPieces(model);
  if (trailers) Answer(Reply::Kind::kRequestTrailers);
  FreeBody();
  Enter(trailers ? PickerState::kSent : after_pick_);
}

}  // namespace kvroute
