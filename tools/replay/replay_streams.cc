#include "tools/replay/replay_streams.h"

#include "indexer/base/check.h"

namespace kvroute {

absl::Status ReplayStreams::Introduce(const CorpusOperation& op) {
  if (op.kind == OperationKind::kQuery || streams_.contains(Key(op))) return absl::OkStatus();
  const absl::StatusOr<StreamId> id = index_->Open(CopyMode::kCounted);
  if (!id.ok()) return id.status();
  streams_[Key(op)].id = *id;
  worker_of_[*id] = op.worker_id;
  return absl::OkStatus();
}

ReplayStreams::Current ReplayStreams::Advance(const CorpusOperation& op) {
  const auto found = streams_.find(Key(op));
  KVROUTE_CHECK(found != streams_.end());
  Stream& stream = found->second;
  Current current{stream.id, stream.id};
  if (stream.started && op.event_id <= stream.last_event_id) {
    index_->Close(stream.id);
    worker_of_.erase(stream.id);
    const absl::StatusOr<StreamId> id = index_->Open(CopyMode::kCounted);
    KVROUTE_CHECK(id.ok());  // one was just closed
    stream.id = current.stream = *id;
    worker_of_[*id] = op.worker_id;
  }
  stream.started = true;
  stream.last_event_id = op.event_id;
  return current;
}

}  // namespace kvroute
