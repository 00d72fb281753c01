#ifndef KVROUTE_INDEXER_STREAM_STREAM_REGISTRY_H_
#define KVROUTE_INDEXER_STREAM_STREAM_REGISTRY_H_

#include <atomic>
#include <cstddef>
#include <memory>

#include "absl/status/statusor.h"
#include "indexer/index/prefix_index.h"
#include "indexer/stream/stream.h"

namespace kvroute {

// The streams of the process, whichever source their batches come from: opens them in the index and
// counts them against one limit.
//
// Thread safety: every method from any thread. Ownership: the index must outlive it.
// Errors: RESOURCE_EXHAUSTED at max_streams.
class StreamRegistry {
 public:
  StreamRegistry(PrefixIndex* index, size_t max_streams)
      : index_(index), max_streams_(max_streams) {}
  StreamRegistry(const StreamRegistry&) = delete;
  StreamRegistry& operator=(const StreamRegistry&) = delete;

  absl::StatusOr<std::shared_ptr<StreamStatus>> Open(const StreamConfig& config);
  // Of a stream that was opened here, once: what it holds is forgotten.
  void Close(StreamId id);

  PrefixIndex* index() const { return index_; }

 private:
  PrefixIndex* const index_;
  const size_t max_streams_;
  std::atomic<size_t> streams_{0};
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_STREAM_REGISTRY_H_
