#ifndef KVROUTE_ROUTER_LOAD_LEASE_SHARD_H_
#define KVROUTE_ROUTER_LOAD_LEASE_SHARD_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "indexer/base/clock.h"
#include "indexer/base/mutex.h"
#include "router/load/load_tracker.h"

namespace kvroute {

// The leases of one part of the request ids. Each is in three lists, oldest first: all leases, by
// when they began or were renewed last, which is also the order in which they expire, since the
// time limit is the same for all; those of its target; and those of its client; and if it is tied
// to a stream in that one's. So what ends the leases of one of them costs those leases
// alone. A lease is known by its index in leases_; that of an ended one is used again.
//
// Thread safety: every method from any thread.
class alignas(64) LoadTracker::Shard {
 public:
  // What is told of a lease when it begins.
  struct Terms {
    const std::shared_ptr<TargetLoad>& target;
    LeaseCost cost;
    const LeaseHolder& holder;
    const Prediction& prediction;
    const LeasedAnswer& answer;
    const LeasedPrompt& prompt;
  };
  // Where prompts are remembered; before the first Begin. It outlives the shard.
  void Remember(InFlightPrompts* in_flight) { in_flight_ = in_flight; }
  // False when the id is in use. Also ends leases that have expired, but only a few, so that no
  // request pays for a burst of others; `expired` says how many.
  bool Begin(std::string_view request_id, const Terms& terms, Nanos now, Nanos expiry,
             uint64_t* expired);

  enum class Found : uint8_t { kNo, kNotTheCallers, kYes };
  // Also that its uncached tokens are computed, if they are.
  Found Renew(std::string_view request_id, const ClientId& caller, bool prefilled, Nanos expiry);
  bool Repeat(std::string_view request_id, const ClientId& caller, uint64_t request, Nanos expiry,
              RepeatedLease* repeated);
  Found End(std::string_view request_id, const ClientId& caller, EndedLease* ended);
  Found Move(std::string_view request_id, const std::shared_ptr<TargetLoad>& target,
             const ClientId& caller);
  bool Abandon(std::string_view request_id);

  // How many ended.
  uint64_t EndExpired(Nanos now);
  uint64_t EndOn(const TargetLoad* target);
  uint64_t EndOfStream(uint64_t stream);
  // False: there is none.
  bool EndOneForRoom();
  void ClientGone(const ClientId& client);

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Link {
    uint32_t older = kNone;
    uint32_t newer = kNone;
  };
  struct Lease {
    std::string request_id;
    std::shared_ptr<TargetLoad> target;
    LeaseCost cost;
    LeaseHolder holder;
    Prediction prediction;
    LeasedAnswer answer;
    InFlightPrompts::Ticket in_flight = 0;
    uint32_t calls = 0;  // that were answered with it and not abandoned
    Nanos expiry{0};
    Link among_all, on_target, of_client, of_stream;
  };
  struct List {
    uint32_t oldest = kNone;
    uint32_t newest = kNone;
    uint64_t count = 0;
  };
  struct ClientLeases {
    List list;
    bool gone = false;
  };

  template <Link Lease::*kLink>
  void Append(uint32_t index, List* list) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  template <Link Lease::*kLink>
  void Remove(uint32_t index, List* list) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  bool MayEnd(const Lease& lease, const ClientId& caller) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whose oldest lease ends first; there is a lease.
  const List& WhoGivesWay() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetGoneWithoutLeases() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint32_t UnusedIndex() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint64_t EndOldest(Nanos now, uint64_t limit) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndLease(uint32_t index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetPrompt(Lease* lease) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetExpiry(uint32_t index, Nanos expiry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  InFlightPrompts* in_flight_ = nullptr;
  Mutex mutex_;
  std::deque<Lease> leases_ ABSL_GUARDED_BY(mutex_);  // never moves: by_id_ points into it
  std::vector<uint32_t> free_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string_view, uint32_t> by_id_ ABSL_GUARDED_BY(mutex_);
  List all_ ABSL_GUARDED_BY(mutex_);
  // Until EndOn, also when it is empty.
  absl::flat_hash_map<const TargetLoad*, List> by_target_ ABSL_GUARDED_BY(mutex_);
  // By connection, until it is gone and its last lease has ended.
  absl::flat_hash_map<uint64_t, ClientLeases> by_client_ ABSL_GUARDED_BY(mutex_);
  // By stream, while it has any.
  absl::flat_hash_map<uint64_t, List> by_stream_ ABSL_GUARDED_BY(mutex_);
  // Who went, first one first; some may have no lease any more.
  std::deque<uint64_t> gone_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_LOAD_LEASE_SHARD_H_
