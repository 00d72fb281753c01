#ifndef KVROUTE_ROUTER_EDGE_GRPC_V1_FLEET_WATCH_PLACE_H_
#define KVROUTE_ROUTER_EDGE_GRPC_V1_FLEET_WATCH_PLACE_H_

#include <grpcpp/support/async_stream.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "kvroute/v1/fleet.grpc.pb.h"
#include "router/edge/grpc_base/served_call.h"
#include "router/edge/grpc_v1/rpc_streams.h"
#include "router/fleet/fleet.h"
#include "router/fleet/fleet_watcher.h"

namespace kvroute {

// What all watchers of the fleet share.
struct WatchedFleet {
  const Fleet* fleet;
  RoutingStats* stats;
  RpcStreams* open;
  std::atomic<bool> ending{false};
};

// INVALID_ARGUMENT names the field.
absl::StatusOr<WorkerFilter> FilterFromProto(const v1::WorkerFilter& message);
// Everything of a worker but its streams.
void WriteWorker(const FleetWorker& worker, v1::WorkerStatus* status);

// Serves Fleet.Watch: a stream of answers to one request. A change is told at the next turn of the
// loop, one message at a time: while a client does not take one, nothing is kept for it but its
// place among the changes (FleetWatcher), and after grpc.write_timeout it is cut off.
//
// Thread safety: as EventLoop. Ownership: `watched` and the service must outlive it. Errors:
// RESOURCE_EXHAUSTED at kMaxFleetWatchers, which connections share fairly (RpcStreams);
// UNAVAILABLE when the server ends.
template <typename ServiceType>
class FleetWatchPlace final : public CallPlace, public RpcStream {
 public:
  using Writer = grpc::ServerAsyncWriter<grpc::ByteBuffer>;
  FleetWatchPlace(WatchedFleet* watched, ServiceType* service, CallPlaces* places,
                  const EdgeParts& parts)
      : watched_(watched), service_(service), places_(places), parts_(parts), call_(parts) {}

  void Await() override {
    places_->Waits();
    bytes_.Clear();
    writer_.reset();
    context_.emplace();
    writer_.emplace(&*context_);
    context_->AsyncNotifyWhenDone(&on_done_);
    grpc::ServerCompletionQueue* queue = parts_.loop->queue();
    service_->RequestWatch(&*context_, &bytes_, &*writer_, queue, queue, &on_call_);
  }
  void Turn() override {
    call_.Turn(*places_, &*context_);
    if (!watcher_ || writing_ || finishing_) return;
    ++idle_turns_;
    if (watched_->ending.load(std::memory_order_relaxed)) {
      return Finish(
          WithReason(absl::UnavailableError("the server ends"), ErrorReason::kServerEnds));
    }
    Tell();
  }

  Connection* connection() const override { return call_.connection(); }
  uint32_t idle_turns() const override { return writing_ ? 0 : idle_turns_; }
  void End(const std::string& message) override {
    if (!finishing_ && !writing_) Finish(absl::ResourceExhaustedError(message));
  }

 private:
  void OnCall(bool ok) {
    if (!ok) return parts_.loop->Ended();
    places_->Taken();
    call_.Take(&*context_);
    call_.Received(bytes_.Length());
    events_to_come_ = 1;  // OnDone
    writing_ = finishing_ = false;
    idle_turns_ = 0;
    const absl::Status status = Begin();
    watched_->stats->CountRequest(RpcMethod::kWatch, status.code());
    if (!status.ok()) {
      watcher_.reset();
      return Finish(status);
    }
    Tell();
  }
  absl::Status Begin() {
    v1::WatchRequest request;
    if (!grpc::SerializationTraits<v1::WatchRequest>::Deserialize(&bytes_, &request).ok()) {
      return WithReason(absl::InvalidArgumentError("the request is not a WatchRequest"),
                        ErrorReason::kMalformedRequest);
    }
    absl::StatusOr<WorkerFilter> filter = FilterFromProto(request.filter());
    if (!filter.ok()) return filter.status();
    watcher_.emplace(watched_->fleet, *std::move(filter));
    KVROUTE_RETURN_IF_ERROR(watcher_->Begin(request.resume_token()));
    KVROUTE_RETURN_IF_ERROR(watched_->open->Admit(this));
    admitted_ = true;
    return absl::OkStatus();
  }
  void Tell() {
    const std::optional<FleetNews> news = watcher_->Next();
    if (!news) return;
    if (news->snapshot != WatchSnapshot::kNo && !in_snapshot_) {
      watched_->stats->fleet_snapshots[static_cast<size_t>(news->snapshot)].fetch_add(
          1, std::memory_order_relaxed);
    }
    in_snapshot_ = news->more;
    grpc::ByteBuffer bytes;
    Serialize(*news, &bytes);
    if (const absl::Status room = call_.AdmitAnswer(bytes.Length()); !room.ok()) {
      return Finish(room);
    }
    writing_ = true;
    ++events_to_come_;
    call_.Sends();
    writer_->Write(bytes, &on_write_);
  }
  static void Serialize(const FleetNews& news, grpc::ByteBuffer* bytes) {
    v1::WatchResponse response;
    response.set_snapshot(static_cast<v1::WatchResponse::Snapshot>(news.snapshot));
    response.set_more(news.more);
    response.set_resume_token(news.resume_token);
    for (const auto& worker : news.workers) {
      WriteWorker(*worker, response.add_changes()->mutable_worker());
    }
    for (const std::string& id : news.removed) response.add_changes()->set_removed(id);
    bool own = false;
    KVROUTE_CHECK(
        grpc::SerializationTraits<v1::WatchResponse>::Serialize(response, bytes, &own).ok());
  }
  void OnWrite(bool ok) {
    writing_ = false;
    idle_turns_ = 0;
    call_.Sent();
    if (!ok || context_done_) {
      Finish(absl::CancelledError("the client is gone"));
    } else if (!finishing_) {
      Tell();
    }
    Event();
  }
  void OnDone(bool) {  // the call has ended, by whom ever
    context_done_ = true;
    if (!writing_ && !finishing_) Finish(absl::CancelledError("the client is gone"));
    Event();
  }
  void Finish(const absl::Status& status) {
    if (finishing_) return;
    finishing_ = true;
    ++events_to_come_;
    writer_->Finish(ToGrpc(status), &on_finish_);
  }
  void OnFinish(bool) { Event(); }
  // Another event of the call's has come; the last one frees the place.
  void Event() {
    if (--events_to_come_ != 0) return;
    if (std::exchange(admitted_, false)) watched_->open->Remove(this);
    watcher_.reset();
    context_done_ = in_snapshot_ = false;
    call_.Give();
    if (!places_->Retires(this)) Await();
  }

  WatchedFleet* const watched_;
  ServiceType* const service_;
  CallPlaces* const places_;
  const EdgeParts& parts_;
  ServedCall call_;
  std::optional<FleetWatcher> watcher_;  // of a call that watches
  bool admitted_ = false;
  bool writing_ = false;
  bool finishing_ = false;
  bool context_done_ = false;
  bool in_snapshot_ = false;
  uint32_t idle_turns_ = 0;
  uint32_t events_to_come_ = 0;
  EventOf<FleetWatchPlace, &FleetWatchPlace::OnCall> on_call_{this};
  EventOf<FleetWatchPlace, &FleetWatchPlace::OnWrite> on_write_{this};
  EventOf<FleetWatchPlace, &FleetWatchPlace::OnFinish> on_finish_{this};
  EventOf<FleetWatchPlace, &FleetWatchPlace::OnDone> on_done_{this};
  grpc::ByteBuffer bytes_;
  std::optional<grpc::ServerContext> context_;
  std::optional<Writer> writer_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_V1_FLEET_WATCH_PLACE_H_
