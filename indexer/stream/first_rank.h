#ifndef KVROUTE_INDEXER_STREAM_FIRST_RANK_H_
#define KVROUTE_INDEXER_STREAM_FIRST_RANK_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "indexer/base/mutex.h"

namespace kvroute {

// The data-parallel rank that the engines of one worker give its rank 0. A deployment that is
// spread over workers numbers its ranks through: the worker of its ranks 8 and 9 publishes as 8
// and 9. All streams of a worker agree on it, so that one whose endpoint is another rank's is found
// out.
//
// Thread safety: every method from any thread.
class FirstRank {
 public:
  // A stream of the worker hears `published` for its `rank`. False: the others have another first
  // rank, or there can be none. True until Forget, which whoever got true owes.
  bool Learn(uint32_t rank, uint32_t published) {
    if (published < rank) return false;
    const uint32_t first = published - rank;
    MutexLock lock(&mutex_);
    if (streams_ > 0 && first_ != first) return false;
    first_ = first;
    ++streams_;
    return true;
  }
  // The stream does not know it any more. Without any stream that does, it may become another.
  void Forget() {
    MutexLock lock(&mutex_);
    --streams_;
  }
  std::optional<uint32_t> known() const {
    MutexLock lock(&mutex_);
    return streams_ > 0 ? std::optional<uint32_t>(first_) : std::nullopt;
  }

 private:
  mutable Mutex mutex_;
  uint32_t first_ ABSL_GUARDED_BY(mutex_) = 0;
  uint32_t streams_ ABSL_GUARDED_BY(mutex_) = 0;
};

// What the streams of one worker share of it. Whoever compares two configurations asks for what was
// configured, of which it is no part. Empty: the stream is its worker's only one.
struct SharedFirstRank {
  std::shared_ptr<FirstRank> of_worker;

  bool operator==(const SharedFirstRank&) const { return true; }
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_FIRST_RANK_H_
