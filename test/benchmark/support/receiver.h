#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_RECEIVER_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_RECEIVER_H_

#include <memory>
#include <string>

#include "indexer/base/check.h"
#include "indexer/event/decoder.h"
#include "indexer/index/prefix_index.h"
#include "indexer/stream/stream_applier.h"

namespace kvroute {

// One stream's half of the event walk, without sockets.
class Receiver {
 public:
  Receiver(PrefixIndex* index, IngestCounters* counters) {
    const absl::StatusOr<StreamId> id = index->Open(CopyMode::kCounted);
    KVROUTE_CHECK(id.ok());
    status_.id = *id;
    applier_ =
        std::make_unique<StreamApplier>(&status_, limits::kMaxPendingMemoryBytes, index, counters);
  }

  bool Receive(const std::string& payload) {
    DecodedBatch batch;
    if (decoder_.Decode(payload, &batch) != DecodeReason::kOk) return false;
    return applier_->Apply(batch).fault == TrustReason::kNone && batch.skipped.empty();
  }

 private:
  StreamStatus status_;
  Decoder decoder_;
  std::unique_ptr<StreamApplier> applier_;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_RECEIVER_H_
