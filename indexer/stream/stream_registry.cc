#include "indexer/stream/stream_registry.h"

#include "absl/strings/str_cat.h"

namespace kvroute {

absl::StatusOr<std::shared_ptr<StreamStatus>> StreamRegistry::Open(const StreamConfig& config) {
  if (streams_.fetch_add(1, std::memory_order_relaxed) >= max_streams_) {
    streams_.fetch_sub(1, std::memory_order_relaxed);
    return absl::ResourceExhaustedError(absl::StrCat("max_streams: ", max_streams_, " are open"));
  }
  auto id = index_->Open(CopyModeOf(config));
  if (!id.ok()) {
    streams_.fetch_sub(1, std::memory_order_relaxed);
    return id.status();
  }
  auto status = std::make_shared<StreamStatus>();
  status->config = config;
  status->id = *id;
  return status;
}

void StreamRegistry::Close(StreamId id) {
  index_->Close(id);
  streams_.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace kvroute
