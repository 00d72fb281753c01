#include "router/load/load_tracker.h"

#include <deque>
#include <random>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "indexer/base/error.h"

namespace kvroute {
namespace {

constexpr Nanos kSweepInterval = std::chrono::seconds(1);
constexpr uint64_t kEndedWithABegin = 2;  // more end than begin: what has expired does not pile up
constexpr uint32_t kNone = UINT32_MAX;

uint64_t RandomTag() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

void Credit(TargetLoad* load, LeaseCost cost) {
  load->requests_in_flight.fetch_add(1, std::memory_order_relaxed);
  load->uncached_tokens_outstanding.fetch_add(cost.uncached_tokens, std::memory_order_relaxed);
  load->output_tokens_expected.fetch_add(cost.output_tokens, std::memory_order_relaxed);
}

void Debit(TargetLoad* load, LeaseCost cost) {
  load->requests_in_flight.fetch_sub(1, std::memory_order_relaxed);
  load->uncached_tokens_outstanding.fetch_sub(cost.uncached_tokens, std::memory_order_relaxed);
  load->output_tokens_expected.fetch_sub(cost.output_tokens, std::memory_order_relaxed);
}

}  // namespace

// The leases of one part of the request ids. They are linked in the order in which they began,
// which is also the order in which they expire, since the time limit is the same for all. A lease
// is known by its index in leases_; that of an ended one is used again.
class alignas(64) LoadTracker::Shard {
 public:
  // False when the id is in use. Also ends leases that have expired, but only a few, so that no
  // request pays for a burst of others; `expired` says how many.
  bool Begin(std::string_view request_id, const std::shared_ptr<TargetLoad>& target, LeaseCost cost,
             Nanos now, Nanos expiry, uint64_t* expired) {
    MutexLock lock(&mutex_);
    *expired = EndOldest(now, kEndedWithABegin);
    uint32_t index = kNone;  // stays so when the id is in use
    by_id_.lazy_emplace(request_id, [&](const auto& add) ABSL_NO_THREAD_SAFETY_ANALYSIS {
      index = UnusedIndex();
      leases_[index].request_id.assign(request_id);
      add(std::string_view(leases_[index].request_id), index);
    });
    if (index == kNone) return false;
    Lease& lease = leases_[index];
    lease.target = target;
    lease.cost = cost;
    lease.expiry = expiry;
    LinkNewest(index);
    Credit(target.get(), cost);
    return true;
  }

  bool Prefilled(std::string_view request_id) {
    MutexLock lock(&mutex_);
    const auto it = by_id_.find(request_id);
    if (it == by_id_.end()) return false;
    Lease& lease = leases_[it->second];
    lease.target->uncached_tokens_outstanding.fetch_sub(lease.cost.uncached_tokens,
                                                        std::memory_order_relaxed);
    lease.cost.uncached_tokens = 0;  // told twice, taken off once
    return true;
  }

  bool End(std::string_view request_id) {
    MutexLock lock(&mutex_);
    const auto it = by_id_.find(request_id);
    if (it == by_id_.end()) return false;
    EndLease(it->second);
    return true;
  }

  uint64_t EndExpired(Nanos now) {
    MutexLock lock(&mutex_);
    return EndOldest(now, UINT64_MAX);
  }

  uint64_t EndOn(const TargetLoad* target) {
    MutexLock lock(&mutex_);
    uint64_t ended = 0;
    for (uint32_t index = oldest_; index != kNone;) {
      const uint32_t newer = leases_[index].newer;
      if (leases_[index].target.get() == target) {
        EndLease(index);
        ++ended;
      }
      index = newer;
    }
    return ended;
  }

 private:
  struct Lease {
    std::string request_id;
    std::shared_ptr<TargetLoad> target;
    LeaseCost cost;
    Nanos expiry{0};
    uint32_t older = kNone;
    uint32_t newer = kNone;
  };

  uint64_t EndOldest(Nanos now, uint64_t limit) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    uint64_t ended = 0;
    for (; ended < limit && oldest_ != kNone && leases_[oldest_].expiry <= now; ++ended) {
      EndLease(oldest_);
    }
    return ended;
  }

  uint32_t UnusedIndex() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (free_.empty()) {
      leases_.emplace_back();
      return static_cast<uint32_t>(leases_.size() - 1);
    }
    const uint32_t index = free_.back();
    free_.pop_back();
    return index;
  }

  void LinkNewest(uint32_t index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    leases_[index].older = newest_;
    leases_[index].newer = kNone;
    (newest_ == kNone ? oldest_ : leases_[newest_].newer) = index;
    newest_ = index;
  }

  void EndLease(uint32_t index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Lease& lease = leases_[index];
    (lease.older == kNone ? oldest_ : leases_[lease.older].newer) = lease.newer;
    (lease.newer == kNone ? newest_ : leases_[lease.newer].older) = lease.older;
    by_id_.erase(lease.request_id);
    Debit(lease.target.get(), lease.cost);
    lease.target.reset();
    free_.push_back(index);
  }

  Mutex mutex_;
  std::deque<Lease> leases_ ABSL_GUARDED_BY(mutex_);  // never moves: by_id_ points into it
  std::vector<uint32_t> free_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string_view, uint32_t> by_id_ ABSL_GUARDED_BY(mutex_);
  uint32_t oldest_ ABSL_GUARDED_BY(mutex_) = kNone;
  uint32_t newest_ ABSL_GUARDED_BY(mutex_) = kNone;
};

LoadTracker::LoadTracker(const LoadTrackerOptions& options, const Clock* clock)
    : options_(options),
      clock_(clock),
      process_tag_(RandomTag()),
      shards_(std::make_unique<std::array<Shard, kShards>>()) {}

LoadTracker::~LoadTracker() = default;

LoadTracker::Shard& LoadTracker::ShardOf(std::string_view request_id) const {
  return (*shards_)[absl::Hash<std::string_view>()(request_id) % kShards];
}

absl::Status LoadTracker::Begin(std::string_view request_id,
                                const std::shared_ptr<TargetLoad>& target, LeaseCost cost) {
  if (leases_.fetch_add(1, std::memory_order_relaxed) >= options_.max_leases) {
    leases_.fetch_sub(1, std::memory_order_relaxed);
    return Error(absl::StatusCode::kResourceExhausted,
                 "max_leases: {} routed requests have not ended; end them with Complete",
                 options_.max_leases);
  }
  const Nanos now = clock_->Monotonic();
  uint64_t expired = 0;
  const bool begun =
      ShardOf(request_id)
          .Begin(request_id, target, cost, now, now + options_.lease_timeout, &expired);
  if (expired != 0) CountExpired(expired);
  if (!begun) {
    leases_.fetch_sub(1, std::memory_order_relaxed);
    return Error(absl::StatusCode::kAlreadyExists,
                 "request_id: \"{}\" is the id of a request that has not ended", request_id);
  }
  begun_.fetch_add(1, std::memory_order_relaxed);
  return absl::OkStatus();
}

bool LoadTracker::Prefilled(std::string_view request_id) {
  return ShardOf(request_id).Prefilled(request_id);
}

bool LoadTracker::End(std::string_view request_id) {
  if (!ShardOf(request_id).End(request_id)) return false;
  leases_.fetch_sub(1, std::memory_order_relaxed);
  ended_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void LoadTracker::Drop(const TargetLoad* target) {
  uint64_t dropped = 0;
  for (Shard& shard : *shards_) dropped += shard.EndOn(target);
  leases_.fetch_sub(dropped, std::memory_order_relaxed);
  dropped_.fetch_add(dropped, std::memory_order_relaxed);
}

uint64_t LoadTracker::Sweep() {
  const Nanos now = clock_->Monotonic();
  uint64_t expired = 0;
  for (Shard& shard : *shards_) expired += shard.EndExpired(now);
  CountExpired(expired);
  return expired;
}

void LoadTracker::CountExpired(uint64_t leases) {
  leases_.fetch_sub(leases, std::memory_order_relaxed);
  expired_.fetch_add(leases, std::memory_order_relaxed);
}

void LoadTracker::SweepIfDue() {
  const int64_t now = clock_->Monotonic().count();
  int64_t due = next_sweep_ns_.load(std::memory_order_relaxed);
  if (now < due) return;
  if (next_sweep_ns_.compare_exchange_strong(due, now + kSweepInterval.count(),
                                             std::memory_order_relaxed)) {
    Sweep();
  }
}

void LoadTracker::MakeRequestId(std::string* id) {
  id->clear();
  absl::StrAppend(id, "kvr-", absl::Hex(process_tag_, absl::kZeroPad16), "-",
                  absl::Hex(next_id_.fetch_add(1, std::memory_order_relaxed)));
}

LoadTrackerStats LoadTracker::Stats() const {
  LoadTrackerStats stats;
  stats.leases = leases_.load(std::memory_order_relaxed);
  stats.begun = begun_.load(std::memory_order_relaxed);
  stats.ended = ended_.load(std::memory_order_relaxed);
  stats.expired = expired_.load(std::memory_order_relaxed);
  stats.dropped = dropped_.load(std::memory_order_relaxed);
  return stats;
}

}  // namespace kvroute
