#ifndef KVROUTE_ROUTER_LOAD_LOAD_TRACKER_H_
#define KVROUTE_ROUTER_LOAD_LOAD_TRACKER_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "indexer/base/clock.h"
#include "indexer/base/limits.h"
#include "indexer/base/mutex.h"

namespace kvroute {

// What was routed to one target and has not ended. Each member is right for itself; two read one
// after the other may be of different moments.
struct alignas(64) TargetLoad {
  std::atomic<uint32_t> requests_in_flight{0};
  std::atomic<uint64_t> uncached_tokens_outstanding{0};
  std::atomic<uint64_t> output_tokens_expected{0};
};

struct LoadTrackerOptions {
  // a lease whose end is never told ends by itself
  std::chrono::milliseconds lease_timeout{600'000};
  size_t max_leases = limits::kMaxLeases;
};

// What a routed request adds to its target's load.
struct LeaseCost {
  uint64_t uncached_tokens = 0;
  uint64_t output_tokens = 0;
};

struct LoadTrackerStats {
  uint64_t leases = 0;  // now
  uint64_t begun = 0;
  uint64_t ended = 0;    // by End
  uint64_t expired = 0;  // by lease_timeout
  uint64_t dropped = 0;  // with their target
};

// The leases: one for each routed request that has not ended, by request id. A lease is credited to
// its target's load before Begin returns, so that each request of a burst sees those before it and
// they do not all go to one target.
//
// Thread safety: every method from any thread; sharded by request id. Ownership: a lease shares its
// target's load; the clock must outlive the tracker. Errors: see Begin.
class LoadTracker {
 public:
  LoadTracker(const LoadTrackerOptions& options, const Clock* clock);
  ~LoadTracker();
  LoadTracker(const LoadTracker&) = delete;
  LoadTracker& operator=(const LoadTracker&) = delete;

  // ALREADY_EXISTS when the id is in use, RESOURCE_EXHAUSTED at max_leases.
  absl::Status Begin(std::string_view request_id, const std::shared_ptr<TargetLoad>& target,
                     LeaseCost cost);
  // The request's first token is out: its uncached tokens are no longer outstanding. False: no such
  // lease.
  bool Prefilled(std::string_view request_id);
  bool End(std::string_view request_id);
  // Ends all leases on the target: its worker is gone.
  void Drop(const TargetLoad* target);

  // Ends the leases whose time limit has passed; returns how many.
  uint64_t Sweep();
  // The same, at most once a second; otherwise it costs one relaxed load. To be called before
  // targets' loads are read. Begin also ends a few expired leases, so that little is left to a
  // sweep while requests come.
  void SweepIfDue();

  // An id that no client can have taken: random for the process, then a number. Written to `id`.
  void MakeRequestId(std::string* id);

  LoadTrackerStats Stats() const;

 private:
  class Shard;
  static constexpr size_t kShards = 16;
  Shard& ShardOf(std::string_view request_id) const;
  void CountExpired(uint64_t leases);

  const LoadTrackerOptions options_;
  const Clock* const clock_;
  const uint64_t process_tag_;
  std::unique_ptr<std::array<Shard, kShards>> shards_;
  std::atomic<uint64_t> next_id_{0};
  std::atomic<uint64_t> leases_{0};
  std::atomic<int64_t> next_sweep_ns_{0};
  std::atomic<uint64_t> begun_{0}, ended_{0}, expired_{0}, dropped_{0};
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_LOAD_LOAD_TRACKER_H_
