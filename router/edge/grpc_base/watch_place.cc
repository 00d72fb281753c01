#include "router/edge/grpc_base/watch_place.h"

#include "indexer/base/error.h"
#include "indexer/base/error_reason.h"
#include "router/edge/grpc_base/grpc_status.h"

namespace kvroute {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

}  // namespace

void WatchPlace::Await() {
  places_->Waits();
  bytes_.Clear();
  writer_.reset();
  context_.emplace();
  writer_.emplace(&*context_);
  context_->AsyncNotifyWhenDone(&on_done_);
  grpc::ServerCompletionQueue* queue = parts_.loop->queue();
  service_->RequestWatch(&*context_, &bytes_, &*writer_, queue, queue, &on_call_);
}

void WatchPlace::OnCall(bool ok) {
  if (!ok) return parts_.loop->Ended();
  places_->Taken();
  call_.Take(&*context_);
  events_to_come_ = 1;  // OnDone
  told_ = -1;
  writing_ = finishing_ = counted_ = false;
  HealthCheckRequest request;
  if (!grpc::SerializationTraits<HealthCheckRequest>::Deserialize(&bytes_, &request).ok()) {
    return Finish(
        ToGrpc(WithReason(absl::InvalidArgumentError("the request is not a HealthCheckRequest"),
                          ErrorReason::kMalformedRequest)));
  }
  if (health_->watchers == limits::kMaxHealthWatchers) {
    return Finish(ToGrpc(Error(absl::StatusCode::kResourceExhausted,
                               "max_health_watchers: {} watch already", health_->watchers)));
  }
  ++health_->watchers;
  counted_ = true;
  asked_ = health_->Find(request.service());
  Tell();
}

// One message at a time; a client that does not read gets the last status when it does.
void WatchPlace::Tell() {
  told_ = StatusNow();
  HealthCheckResponse response;
  response.set_status(static_cast<HealthCheckResponse::ServingStatus>(told_));
  grpc::ByteBuffer bytes;
  bool own = false;
  grpc::SerializationTraits<HealthCheckResponse>::Serialize(response, &bytes, &own);
  writing_ = true;
  ++events_to_come_;
  call_.Sends();
  writer_->Write(bytes, &on_write_);
}

void WatchPlace::Turn() {
  call_.Turn(*places_, &*context_);
  if (!counted_ || writing_ || finishing_) return;
  if (told_ != StatusNow()) {
    Tell();
  } else if (health_->ending.load(std::memory_order_relaxed)) {
    Finish(grpc::Status(grpc::StatusCode::CANCELLED, "the server ends"));
  }
}

void WatchPlace::OnWrite(bool) {
  writing_ = false;
  call_.Sent();
  if (context_done_) Finish(grpc::Status::CANCELLED);
  Event();
}

void WatchPlace::OnDone(bool) {
  context_done_ = true;
  if (!writing_ && !finishing_) Finish(grpc::Status::CANCELLED);
  Event();
}

void WatchPlace::Finish(const grpc::Status& status) {
  finishing_ = true;
  ++events_to_come_;
  writer_->Finish(status, &on_finish_);
}

void WatchPlace::OnFinish(bool) { Event(); }

void WatchPlace::Event() {
  if (--events_to_come_ != 0) return;
  if (counted_) --health_->watchers;
  counted_ = context_done_ = false;
  call_.Give();
  if (!places_->Retires(this)) Await();
}

}  // namespace kvroute
