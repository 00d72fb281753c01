#ifndef KVROUTE_TOOLS_PLACEMENT_POLICIES_SIMULATED_SOURCE_H_
#define KVROUTE_TOOLS_PLACEMENT_POLICIES_SIMULATED_SOURCE_H_

#include <memory>
#include <vector>

#include "indexer/index/prefix_index.h"
#include "indexer/source/event_source.h"

namespace kvroute {

// A source whose streams are exact as soon as they are added: whoever simulates the engines writes
// into the index himself.
//
// Thread safety: one thread at a time. Ownership: the index must outlive it.
class SimulatedSource final : public EventSource {
 public:
  explicit SimulatedSource(PrefixIndex* index) : index_(index) {}

  absl::StatusOr<std::shared_ptr<const StreamStatus>> AddStream(
      const StreamConfig& config) override {
    const absl::StatusOr<StreamId> id = index_->Open(CopyMode::kCounted);
    if (!id.ok()) return id.status();
    auto status = std::make_shared<StreamStatus>();
    status->config = config;
    status->id = *id;
    status->trust = Trust::kExact;
    status->reason = TrustReason::kReplayComplete;
    status->connected = true;
    return status;
  }
  void RemoveStream(StreamId id) override { index_->Close(id); }
  void Stop() override {}
  std::vector<ThreadAge> ThreadAges() const override { return {}; }

 private:
  PrefixIndex* const index_;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_POLICIES_SIMULATED_SOURCE_H_
