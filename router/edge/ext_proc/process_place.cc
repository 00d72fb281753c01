#include "router/edge/ext_proc/process_place.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "router/edge/grpc_base/grpc_status.h"

namespace kvroute {
namespace {

// What is shorter is copied: a slice of its own costs more.
constexpr size_t kCopiedBytes = 4'096;
// A part of a message that has memory of its own, and is most of it and no shorter, is kept with
// all of it.
constexpr size_t kKeptAsItIsBytes = 1'024;

bool LiesIn(const grpc::Slice& slice, std::string_view part) {
  const auto* const data = reinterpret_cast<const uint8_t*>(part.data());
  return data >= slice.begin() && data < slice.end();
}

// With the bytes of another's memory, which lives as long.
grpc::Slice SubSlice(const grpc::Slice& of, std::string_view part) {
  const auto begin =
      static_cast<size_t>(reinterpret_cast<const uint8_t*>(part.data()) - of.begin());
  grpc_slice whole = of.c_slice();
  const grpc_slice slice = grpc_slice_sub(whole, begin, begin + part.size());
  grpc_slice_unref(whole);
  return grpc::Slice(slice, grpc::Slice::STEAL_REF);
}

// One slice of all parts.
grpc::Slice Joined(std::string_view head, absl::Span<const std::string_view> body,
                   std::string_view tail) {
  size_t size = head.size() + tail.size();
  for (const std::string_view part : body) size += part.size();
  const grpc_slice slice = grpc_slice_malloc(size);
  uint8_t* to = const_cast<uint8_t*>(GRPC_SLICE_START_PTR(slice));
  const auto put = [&to](std::string_view part) {
    if (!part.empty()) std::memcpy(to, part.data(), part.size());
    to += part.size();
  };
  put(head);
  for (const std::string_view part : body) put(part);
  put(tail);
  return grpc::Slice(slice, grpc::Slice::STEAL_REF);
}

}  // namespace

void ProcessPlace::Await() {
  places_->Waits();
  exchange_.reset();
  stream_.reset();
  context_.emplace();
  stream_.emplace(&*context_);
  in_.Clear();
  kept_.clear();
  reading_ = writing_ = began_writing_ = closing_ = finishing_ = false;
  status_ = grpc::Status::OK;
  grpc::ServerCompletionQueue* queue = parts_.edge.loop->queue();
  parts_.service->RequestProcess(&*context_, &*stream_, queue, queue, &on_call_);
}

void ProcessPlace::Turn() {
  if (events_to_come_ == 0) return;
  call_.Turn(*places_, &*context_);
  if (!request_) return;
  request_->OnTick(parts_.picker->Now());
  Advance();
}

void ProcessPlace::OnCall(bool ok) {
  if (!ok) return parts_.edge.loop->Ended();
  places_->Taken();
  call_.Take(&*context_);
  events_to_come_ = 1;  // this one
  const Connection* const connection = call_.connection();
  if (connection != nullptr && connection->listener() >= parts_.first_health_listener) {
    Close({grpc::StatusCode::UNIMPLEMENTED, "this port is for health alone"});
  } else if (const absl::Status may = call_.MayDo(Action::kPick, &*context_); !may.ok()) {
    Close(ToGrpc(may));
  } else {
    PickerStats* const stats = parts_.picker->stats();
    request_.emplace(parts_.picker, static_cast<PickerHost*>(this), call_.client());
    if (stats->open_streams.fetch_add(1, std::memory_order_relaxed) >= parts_.max_streams) {
      request_->RefuseForRoom();
    }
  }
  Advance();
  Event();
}

void ProcessPlace::OnRead(bool ok) {
  reading_ = false;
  if (ok) {
    Take();
  } else {
    Close(grpc::Status::OK);  // half-closed or reset: which, is chance
  }
  Advance();
  Event();
}

void ProcessPlace::OnExchange(bool ok) {
  writing_ = false;
  OnRead(ok);
}

void ProcessPlace::OnWrite(bool ok) {
  writing_ = false;
  call_.Sent();
  if (!ok) {  // the proxy has gone, which the next read says
    out_.clear();
    out_begin_ = 0;
  }
  Advance();
  Event();
}

// A message that cannot be read ends the stream in order: the proxy goes on without us, where an
// error would fail the request.
void ProcessPlace::Take() {
  call_.Received(in_.Length());
  if (!request_ || closing_) return;
  ProxyMessage message;
  message_is_alone_ = !in_.TrySingleSlice(&message_).ok();
  const bool read =
      (!message_is_alone_ || in_.DumpToSingleSlice(&message_).ok()) &&
      ReadProxyMessage({reinterpret_cast<const char*>(message_.begin()), message_.size()},
                       &message);
  in_.Clear();
  if (!read) {
    PickerStats::Add(parts_.picker->stats()->malformed_messages);
    return Close(grpc::Status::OK);
  }
  request_->OnMessage(message);
  message_ = grpc::Slice();
  if (request_->done()) Close(grpc::Status::OK);
}

void ProcessPlace::Close(const grpc::Status& status) {
  if (std::exchange(closing_, true)) return;
  status_ = status;
  if (!request_) return;
  request_->OnClosed();
  request_.reset();
  parts_.picker->stats()->open_streams.fetch_sub(1, std::memory_order_relaxed);
}

void ProcessPlace::Send(const Reply& reply) { out_.push_back(BytesOf(reply)); }

// A body goes back from where it lies.
grpc::ByteBuffer ProcessPlace::BytesOf(const Reply& reply) const {
  thread_local std::string head;
  WriteReplyHead(reply, &head);
  const std::string_view tail = ReplyTail(reply);
  if (BodyBytes(reply) < kCopiedBytes) {
    const grpc::Slice bytes = Joined(head, reply.body, tail);
    return grpc::ByteBuffer(&bytes, 1);
  }
  absl::InlinedVector<grpc::Slice, 8> slices;
  slices.push_back(Joined(head, {}, {}));
  size_t kept = 0;
  for (const std::string_view part : reply.body) slices.push_back(SliceOf(part, &kept));
  if (!tail.empty()) slices.push_back(Joined(tail, {}, {}));
  return grpc::ByteBuffer(slices.data(), slices.size());
}

// Parts come in the order of what is kept: `kept` is where the last one was found.
grpc::Slice ProcessPlace::SliceOf(std::string_view part, size_t* kept) const {
  if (LiesIn(message_, part)) return SubSlice(message_, part);
  for (size_t i = *kept; i < kept_.size(); ++i) {
    if (!LiesIn(kept_[i], part)) continue;
    *kept = i;
    return SubSlice(kept_[i], part);
  }
  return Joined(part, {}, {});
}

// A short message shares its memory with others, and would keep that of all of them.
std::string_view ProcessPlace::Keep(std::string_view part) {
  if (message_is_alone_ && part.size() >= std::max(kKeptAsItIsBytes, message_.size() / 2)) {
    kept_.push_back(message_);
    return part;
  }
  // Never inside of the slice itself, as short ones are: it will be moved.
  grpc_slice slice = grpc_slice_malloc_large(part.size());
  std::memcpy(GRPC_SLICE_START_PTR(slice), part.data(), part.size());
  kept_.emplace_back(slice, grpc::Slice::STEAL_REF);
  return {reinterpret_cast<const char*>(kept_.back().begin()), part.size()};
}

// Of one connection one at a time; how many wait is bounded by the streams there may be, and their
// bytes by the budget for bodies.
bool ProcessPlace::ReadElsewhere(const RequestHeaders& headers,
                                 absl::Span<const std::string_view> pieces) {
  reads_ = std::make_unique<LongRead>(&body_read_);
  reads_->headers = headers;
  reads_->pieces.assign(pieces.begin(), pieces.end());
  reads_->kept = kept_;
  if (!parts_.edge.long_work->Add(call_.client().connection, 0, reads_.get()).ok()) {
    reads_.reset();
    return false;
  }
  ++events_to_come_;
  return true;
}

void ProcessPlace::OnBodyRead(bool) {
  body_read_.Hear();
  const std::unique_ptr<LongRead> reads = std::move(reads_);
  if (request_ && !reads->left) request_->OnBodyRead(reads->read);
  Advance();
  Event();
}

std::shared_ptr<const RenderedPrompt> ProcessPlace::Recall(const RequestBody& body,
                                                           const PaddedText& text,
                                                           std::string_view model) {
  return parts_.renderer == nullptr ? nullptr : parts_.renderer->Recall(body, text, model);
}

bool ProcessPlace::Render(const RequestBody& body, const PaddedText& text, std::string_view model,
                          Nanos deadline) {
  if (parts_.renderer == nullptr) return false;
  ++events_to_come_;
  render_ = parts_.renderer->Start(body, text, model, deadline, [this](RenderedPrompt prompt) {
    rendered_ = std::move(prompt);
    worked_.Tell();
  });
  return true;
}

// What cannot be cancelled any more is waited for, and then of no interest.
void ProcessPlace::CancelRender() {
  if (render_ && parts_.renderer->Cancel(*render_)) --events_to_come_;
  render_.reset();
}

void ProcessPlace::OnRendered(bool) {
  worked_.Hear();
  RenderedPrompt prompt = std::move(rendered_);
  if (std::exchange(render_, std::nullopt) && request_) request_->OnRendered(std::move(prompt));
  Advance();
  Event();
}

// What is to be sent leaves first. The last of it goes with the request for the next message, as
// one batch; but not while something may have to be said before that comes.
void ProcessPlace::Advance() {
  if (finishing_) return;
  if (!writing_ && out_begin_ != out_.size()) Write();
  const bool sent = out_begin_ == out_.size();
  if (sent && out_begin_ != 0) {
    out_.clear();
    out_begin_ = 0;
  }
  if (closing_) {
    if (writing_ || reading_ || !sent) return;
    finishing_ = true;
    ++events_to_come_;
    call_.Sends();
    return stream_->Finish(status_, &on_finish_);
  }
  if (reading_ || !sent) return;
  reading_ = true;
  ++events_to_come_;
  stream_->Read(&in_, &on_read_);
}

void ProcessPlace::Write() {
  const grpc::ByteBuffer bytes = std::move(out_[out_begin_++]);
  const bool last = out_begin_ == out_.size();
  writing_ = true;
  ++events_to_come_;
  if (last && began_writing_ && !reading_ && !closing_ && request_ && request_->only_answers()) {
    if (!exchange_) exchange_.emplace(&*context_, parts_.edge.loop->queue());
    exchange_->Write(bytes);
    reading_ = true;
    return exchange_->Read(&in_, &on_exchange_);
  }
  call_.Sends();
  grpc::WriteOptions options;
  // Not the first: initial metadata that goes with it would wait for ever.
  if (!last && began_writing_) options.set_buffer_hint();
  began_writing_ = true;
  stream_->Write(bytes, options, &on_write_);
}

void ProcessPlace::OnFinish(bool) {
  call_.Sent();
  Event();
}

void ProcessPlace::Event() {
  if (--events_to_come_ != 0) return;
  out_.clear();
  out_.shrink_to_fit();
  out_begin_ = 0;
  kept_.clear();
  kept_.shrink_to_fit();
  call_.Give();
  if (!places_->Retires(this)) Await();
}

}  // namespace kvroute
