#include "router/load/load_tracker.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <random>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "indexer/base/error.h"
#include "indexer/base/error_reason.h"
#include "router/load/lease_shard.h"

namespace kvroute {
namespace {

constexpr Nanos kSweepInterval = std::chrono::seconds(1);
// Who gives way at max_leases is judged within one shard: with so few leases that its share of a
// client's could be off by much, there is one shard.
constexpr size_t kManyLeases = 4'096;
constexpr size_t kShardsOfMany = 16;

// Random numbers of the kernel, fetched a few hundred at a time.
uint64_t UnforeseeableNumber() {
  thread_local std::array<uint64_t, 512> numbers;
  thread_local size_t left = 0;
  if (left == 0) {
    auto* bytes = reinterpret_cast<char*>(numbers.data());
    for (size_t have = 0; have < sizeof(numbers);) {
      const ssize_t got = getrandom(bytes + have, sizeof(numbers) - have, 0);
      if (got > 0) have += static_cast<size_t>(got);
      if (got > 0 || errno == EINTR) continue;
      std::random_device device;  // a sandbox refuses the call: the processor has some, too
      for (uint64_t& number : numbers) number = uint64_t{device()} << 32 | device();
      break;
    }
    left = numbers.size();
  }
  return numbers[--left];
}

}  // namespace

TargetPredictions& TargetLoad::MakePredictions() {
  TargetPredictions* made = predictions_.load(std::memory_order_acquire);
  if (made != nullptr) return *made;
  auto mine = std::make_unique<TargetPredictions>();
  if (predictions_.compare_exchange_strong(made, mine.get(), std::memory_order_acq_rel)) {
    return *mine.release();
  }
  return *made;  // another thread's was first
}

LoadTracker::LoadTracker(const LoadTrackerOptions& options, const Clock* clock)
    : lease_timeout_(options.lease_timeout),
      max_leases_(
          std::clamp<uint64_t>(options.max_memory_bytes / kLeaseBytes, 1, options.max_leases)),
      clock_(clock),
      shard_count_(max_leases_ < kManyLeases ? 1 : kShardsOfMany),
      shards_(std::make_unique<Shard[]>(shard_count_)) {
  for (size_t i = 0; i < shard_count_; ++i) shards_[i].Remember(&in_flight_);
}

LoadTracker::~LoadTracker() = default;

LoadTracker::Shard& LoadTracker::ShardOf(std::string_view request_id) const {
  return shards_[absl::Hash<std::string_view>()(request_id) % shard_count_];
}

absl::Status LoadTracker::Begin(std::string_view request_id,
                                const std::shared_ptr<TargetLoad>& target, LeaseCost cost,
                                const LeaseHolder& holder, const Prediction& prediction,
                                const LeasedAnswer& answer, const LeasedPrompt& prompt) {
  Shard& shard = ShardOf(request_id);
  if (leases_.fetch_add(1, std::memory_order_relaxed) >= max_leases_) MakeRoom(&shard);
  const Nanos now = clock_->Monotonic();
  uint64_t expired = 0;
  const bool begun = shard.Begin(request_id, {target, cost, holder, prediction, answer, prompt},
                                 now, now + lease_timeout_, &expired);
  if (expired != 0) CountGone(&expired_, expired);
  if (!begun) {
    leases_.fetch_sub(1, std::memory_order_relaxed);
    return WithReason(
        Error(absl::StatusCode::kAlreadyExists,
              "request_id: \"{}\" is the id of a request that has not ended", request_id),
        ErrorReason::kRequestIdInUse, {{"request_id", request_id}});
  }
  begun_.fetch_add(1, std::memory_order_relaxed);
  return absl::OkStatus();
}

// Of the shards, first the one that is about to get a lease.
void LoadTracker::MakeRoom(Shard* first) {
  const size_t begin = static_cast<size_t>(first - shards_.get());
  for (size_t i = 0; i < shard_count_; ++i) {
    if (!shards_[(begin + i) % shard_count_].EndOneForRoom()) continue;
    return CountGone(&evicted_, 1);
  }
}

bool LoadTracker::Prefilled(std::string_view request_id, const ClientId& caller) {
  return Renew(request_id, caller, /*prefilled=*/true);
}

bool LoadTracker::Renew(std::string_view request_id, const ClientId& caller) {
  return Renew(request_id, caller, /*prefilled=*/false);
}

bool LoadTracker::Renew(std::string_view request_id, const ClientId& caller, bool prefilled) {
  const Nanos expiry = clock_->Monotonic() + lease_timeout_;
  const Shard::Found found = ShardOf(request_id).Renew(request_id, caller, prefilled, expiry);
  if (found == Shard::Found::kNotTheCallers) refused_ends_.fetch_add(1, std::memory_order_relaxed);
  if (found != Shard::Found::kYes) return false;
  renewed_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

bool LoadTracker::Repeat(std::string_view request_id, const ClientId& caller, uint64_t request,
                         RepeatedLease* lease) {
  const Nanos expiry = clock_->Monotonic() + lease_timeout_;
  if (!ShardOf(request_id).Repeat(request_id, caller, request, expiry, lease)) return false;
  repeated_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

bool LoadTracker::End(std::string_view request_id, const ClientId& caller, EndedLease* ended) {
  const Shard::Found found = ShardOf(request_id).End(request_id, caller, ended);
  if (found == Shard::Found::kNotTheCallers) refused_ends_.fetch_add(1, std::memory_order_relaxed);
  if (found != Shard::Found::kYes) return false;
  CountGone(&ended_, 1);
  return true;
}

bool LoadTracker::Move(std::string_view request_id, const std::shared_ptr<TargetLoad>& target,
                       const ClientId& caller) {
  const Shard::Found found = ShardOf(request_id).Move(request_id, target, caller);
  if (found == Shard::Found::kNotTheCallers) refused_ends_.fetch_add(1, std::memory_order_relaxed);
  return found == Shard::Found::kYes;
}

void LoadTracker::Abandon(std::string_view request_id) {
  if (ShardOf(request_id).Abandon(request_id)) CountGone(&abandoned_, 1);
}

void LoadTracker::StreamEnded(uint64_t stream) {
  uint64_t ended = 0;
  for (size_t i = 0; i < shard_count_; ++i) ended += shards_[i].EndOfStream(stream);
  CountGone(&stream_ended_, ended);
}

void LoadTracker::ClientGone(const ClientId& client) {
  for (size_t i = 0; i < shard_count_; ++i) shards_[i].ClientGone(client);
}

void LoadTracker::Drop(const TargetLoad* target) {
  uint64_t dropped = 0;
  for (size_t i = 0; i < shard_count_; ++i) dropped += shards_[i].EndOn(target);
  CountGone(&dropped_, dropped);
}

uint64_t LoadTracker::Sweep() {
  const Nanos now = clock_->Monotonic();
  uint64_t expired = 0;
  for (size_t i = 0; i < shard_count_; ++i) expired += shards_[i].EndExpired(now);
  CountGone(&expired_, expired);
  return expired;
}

void LoadTracker::CountGone(Counter* counter, uint64_t leases) {
  leases_.fetch_sub(leases, std::memory_order_relaxed);
  counter->fetch_add(leases, std::memory_order_relaxed);
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
  absl::StrAppend(id, "kvr-", absl::Hex(UnforeseeableNumber(), absl::kZeroPad16),
                  absl::Hex(UnforeseeableNumber(), absl::kZeroPad16));
}

LoadTrackerStats LoadTracker::Stats() const {
  LoadTrackerStats stats;
  stats.leases = leases_.load(std::memory_order_relaxed);
  stats.max_leases = max_leases_;
  stats.in_flight = in_flight_.GetStats();
  stats.begun = begun_.load(std::memory_order_relaxed);
  stats.ended = ended_.load(std::memory_order_relaxed);
  stats.expired = expired_.load(std::memory_order_relaxed);
  stats.dropped = dropped_.load(std::memory_order_relaxed);
  stats.evicted = evicted_.load(std::memory_order_relaxed);
  stats.abandoned = abandoned_.load(std::memory_order_relaxed);
  stats.stream_ended = stream_ended_.load(std::memory_order_relaxed);
  stats.renewed = renewed_.load(std::memory_order_relaxed);
  stats.repeated = repeated_.load(std::memory_order_relaxed);
  stats.refused_ends = refused_ends_.load(std::memory_order_relaxed);
  return stats;
}

}  // namespace kvroute
