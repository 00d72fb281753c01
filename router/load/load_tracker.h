#ifndef KVROUTE_ROUTER_LOAD_LOAD_TRACKER_H_
#define KVROUTE_ROUTER_LOAD_LOAD_TRACKER_H_

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "indexer/base/clock.h"
#include "indexer/base/enum_names.h"
#include "indexer/base/limits.h"
#include "router/load/client_id.h"
#include "router/load/in_flight_prompts.h"
#include "router/load/prediction.h"

namespace kvroute {

// Whether a target's engine answers HTTP, as far as it was asked.
enum class EngineHealth : uint8_t { kNotAsked, kAnswers, kDoesNotAnswer };
inline constexpr auto kEngineHealthNames =
    NamesUpTo<EngineHealth::kDoesNotAnswer>("not_asked", "answers", "does_not_answer");

// What an engine says of itself: of all requests, whoever sent them.
struct EngineReport {
  std::atomic<int64_t> at_ns{0};  // when it was asked, Clock::Monotonic; 0: never
  std::atomic<uint32_t> waiting{0};
  std::atomic<uint32_t> running{0};
  std::atomic<uint32_t> kv_usage_millionths{0};
  std::atomic<uint32_t> capacity_blocks{0};  // 0: not known
  std::atomic<uint32_t> begun_before{0};     // TargetLoad::begun when it was asked
  std::atomic<EngineHealth> health{EngineHealth::kNotAsked};
  std::atomic<bool> is_fresh{false};  // else it is too old to say anything of now
  std::atomic<bool> is_pushed{
      false};  // the engine says it of itself, unasked: nobody else writes it
};

// What was routed to one target and has not ended, and what its engine says. Each member is right
// for itself; two read one after the other may be of different moments. One cache line: decisions
// read it for every target.
struct alignas(64) TargetLoad {
  TargetLoad() = default;
  ~TargetLoad() { delete predictions_.load(std::memory_order_relaxed); }
  TargetLoad(const TargetLoad&) = delete;
  TargetLoad& operator=(const TargetLoad&) = delete;

  std::atomic<uint32_t> requests_in_flight{0};
  std::atomic<uint32_t> begun{0};  // requests ever, modulo 2^32
  std::atomic<uint64_t> uncached_tokens_outstanding{0};
  std::atomic<uint64_t> output_tokens_expected{0};
  EngineReport engine;

  // Own requests are known at once and exactly; those that came another way the engine tells: so
  // what it told and what was begun since, if that is more than our own.
  uint32_t RequestsInFlight() const {
    const uint32_t own = requests_in_flight.load(std::memory_order_relaxed);
    if (!engine.is_fresh.load(std::memory_order_relaxed)) return own;
    const uint32_t since =
        begun.load(std::memory_order_relaxed) - engine.begun_before.load(std::memory_order_relaxed);
    return std::max(own, engine.waiting.load(std::memory_order_relaxed) +
                             engine.running.load(std::memory_order_relaxed) + since);
  }

  // nullptr: none has been compared yet.
  const TargetPredictions* predictions() const {
    return predictions_.load(std::memory_order_acquire);
  }
  // The same, made when they are needed first.
  TargetPredictions& MakePredictions();

 private:
  std::atomic<TargetPredictions*> predictions_{nullptr};  // owned
};
static_assert(sizeof(TargetLoad) == 64);

struct LoadTrackerOptions {
  // a lease whose end is never told ends by itself
  std::chrono::milliseconds lease_timeout{600'000};
  size_t max_leases = limits::kMaxLeases;
  // of all leases together; what max_leases would take beyond it is not begun
  uint64_t max_memory_bytes = std::numeric_limits<uint64_t>::max();
};

// What a routed request adds to its target's load.
struct LeaseCost {
  uint64_t uncached_tokens = 0;
  uint64_t output_tokens = 0;
};

// Whose lease it is, and who else may end it.
struct LeaseHolder {
  ClientId client;
  // The request id came from MakeRequestId: who knows it was told it, and may end the lease.
  bool id_is_secret = false;
  uint64_t stream = 0;  // the lease ends with this stream at the latest; 0: with none
};

// What a request was and what it was told, should it be asked again.
struct LeasedAnswer {
  uint64_t request = 0;  // tells it from other requests; 0: it is never asked again
  uint8_t policy = 0;    // the caller's numbers
  uint8_t reason = 0;
};

// The request's prompt, remembered until it is computed; nullptr: not known, or not to be.
struct LeasedPrompt {
  const PromptPieces* pieces = nullptr;
  uint32_t place = 0;  // of InFlightPrompts
};

// What Repeat tells of a lease.
struct RepeatedLease {
  std::shared_ptr<TargetLoad> target;
  LeasedAnswer answer;
};

// What End tells of a lease.
struct EndedLease {
  std::shared_ptr<TargetLoad> target;
  Prediction prediction;
};

struct LoadTrackerStats {
  uint64_t leases = 0;      // now
  uint64_t max_leases = 0;  // as they or their memory allow
  uint64_t begun = 0;
  uint64_t ended = 0;         // by End
  uint64_t expired = 0;       // by lease_timeout
  uint64_t dropped = 0;       // with their target
  uint64_t evicted = 0;       // at max_leases, to make room for newer ones
  uint64_t abandoned = 0;     // by Abandon
  uint64_t stream_ended = 0;  // by StreamEnded
  uint64_t renewed = 0;       // times that a lease got its whole time limit anew
  uint64_t repeated = 0;      // times that a request was asked again and found its lease
  InFlightPrompts::Stats in_flight;
  uint64_t refused_ends = 0;  // Prefilled, End and Move by somebody who may not
};

// The leases: one for each routed request that has not ended, by request id. A lease is credited to
// its target's load before Begin returns, so that each request of a burst sees those before it and
// they do not all go to one target.
//
// A lease is ended by the client that began it; by who knows its id, if kvroute made that; and once
// the connection it began on is gone, by any other from the same address: a gateway that had to
// connect again. At max_leases, or where as many would take more than max_memory_bytes, a new lease
// takes the place of an old one: the oldest of clients that are gone, else the oldest of the client
// that has most. So whoever takes many loses his own.
//
// Progress renews a lease: it has its whole time limit from then on. A request that is asked again
// finds its lease (Repeat); the lease then ends by Abandon once every call that was answered with
// it has been abandoned.
//
// Memory: kLeaseBytes a lease at most, all its entries included.
//
// Thread safety: every method from any thread; sharded by request id. Ownership: a lease shares its
// target's load; the clock must outlive the tracker. Errors: see Begin.
class LoadTracker {
 public:
  // The longest id and a client of its own included.
  static constexpr uint64_t kLeaseBytes = 768;

  LoadTracker(const LoadTrackerOptions& options, const Clock* clock);
  ~LoadTracker();
  LoadTracker(const LoadTracker&) = delete;
  LoadTracker& operator=(const LoadTracker&) = delete;

  // ALREADY_EXISTS when the id is in use.
  absl::Status Begin(std::string_view request_id, const std::shared_ptr<TargetLoad>& target,
                     LeaseCost cost, const LeaseHolder& holder = {},
                     const Prediction& prediction = {}, const LeasedAnswer& answer = {},
                     const LeasedPrompt& prompt = {});
  // The same request is asked again by the client that began the lease, by who may end it, or from
  // the same address: renews it. False: there is no such lease, it is another request's, or the
  // caller's is none of these.
  bool Repeat(std::string_view request_id, const ClientId& caller, uint64_t request,
              RepeatedLease* lease);
  // The request's first token is out: its uncached tokens are no longer outstanding, its prompt no
  // longer in flight; renews the lease. False: no such lease, or not the caller's.
  bool Prefilled(std::string_view request_id, const ClientId& caller = {});
  // The request is still under way. False as above.
  bool Renew(std::string_view request_id, const ClientId& caller = {});
  // `ended`, if given, is what the lease was.
  bool End(std::string_view request_id, const ClientId& caller = {}, EndedLease* ended = nullptr);
  // The request runs on another target than it was routed to: what was predicted is not of that
  // one. False as above.
  bool Move(std::string_view request_id, const std::shared_ptr<TargetLoad>& target,
            const ClientId& caller = {});
  // A call was not told of the lease that it began or found: its answer could not be sent.
  void Abandon(std::string_view request_id);
  // Ends all leases that are tied to the stream.
  void StreamEnded(uint64_t stream);
  // The client's connection is closed. Its leases stay: their requests may well be running.
  void ClientGone(const ClientId& client);
  // Ends all leases on the target: its worker is gone.
  void Drop(const TargetLoad* target);

  // Ends the leases whose time limit has passed; returns how many.
  uint64_t Sweep();
  // The same, at most once a second; otherwise it costs one relaxed load. To be called before
  // targets' loads are read. Begin also ends a few expired leases, so that little is left to a
  // sweep while requests come.
  void SweepIfDue();

  // An id that nobody can foresee: 128 random bits from the kernel. Written to `id`.
  static void MakeRequestId(std::string* id);

  // Prompts of the leases whose first token is not out.
  const InFlightPrompts& in_flight() const { return in_flight_; }
  LoadTrackerStats Stats() const;

 private:
  class Shard;
  using Counter = std::atomic<uint64_t>;
  Shard& ShardOf(std::string_view request_id) const;
  void MakeRoom(Shard* first);
  bool Renew(std::string_view request_id, const ClientId& caller, bool prefilled);
  void CountGone(Counter* counter, uint64_t leases);

  const Nanos lease_timeout_;
  const uint64_t max_leases_;
  const Clock* const clock_;
  InFlightPrompts in_flight_;
  const size_t shard_count_;
  const std::unique_ptr<Shard[]> shards_;
  Counter leases_{0};
  std::atomic<int64_t> next_sweep_ns_{0};
  Counter begun_{0}, ended_{0}, expired_{0}, dropped_{0}, evicted_{0}, abandoned_{0};
  Counter refused_ends_{0}, stream_ended_{0}, renewed_{0}, repeated_{0};
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_LOAD_LOAD_TRACKER_H_
