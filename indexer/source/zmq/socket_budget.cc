#include "indexer/source/zmq/socket_budget.h"

#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"

namespace kvroute {
namespace {

// The usual soft limit of 1,024 would end at two hundred streams.
size_t RaisedDescriptorLimit() {
  constexpr size_t kUnknown = 1'024;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return kUnknown;
  rlimit raised = limit;
  raised.rlim_cur = limit.rlim_max;
  return setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur;
}

}  // namespace

SocketBudget::Share& SocketBudget::Share::operator=(Share&& other) noexcept {
  if (this == &other) return *this;
  Return();
  budget_ = std::exchange(other.budget_, nullptr);
  cost_ = other.cost_;
  return *this;
}

void SocketBudget::Share::Return() {
  if (SocketBudget* const budget = std::exchange(budget_, nullptr)) budget->Return(cost_);
}

absl::StatusOr<SocketBudget::Share> SocketBudget::TakeForStream(SocketCost cost) {
  auto share = Take(cost, limits_.kept_for_others + limits_.kept_for_replays, "a stream");
  if (!share.ok()) Increment(&counters_->refused_for_descriptors);
  return share;
}

absl::StatusOr<SocketBudget::Share> SocketBudget::TakeForReplay(SocketCost cost) {
  return Take(cost, limits_.kept_for_others, "a replay");
}

absl::StatusOr<SocketBudget::Share> SocketBudget::Take(SocketCost cost, size_t kept,
                                                       std::string_view what) {
  SocketCost taken;
  {
    MutexLock lock(&mutex_);
    taken = taken_;
    if (taken.descriptors + cost.descriptors + kept <= limits_.descriptors &&
        taken.sockets + cost.sockets <= limits_.sockets) {
      taken_.descriptors += cost.descriptors;
      taken_.sockets += cost.sockets;
      counters_->descriptors_taken.store(taken_.descriptors, std::memory_order_relaxed);
      return Share(this, cost);
    }
  }
  if (taken.sockets + cost.sockets > limits_.sockets) {
    return Error(absl::StatusCode::kResourceExhausted,
                 "max_sockets: {} takes {} ZeroMQ sockets, {} of {} are taken", what, cost.sockets,
                 taken.sockets, limits_.sockets);
  }
  return Error(absl::StatusCode::kResourceExhausted,
               "max_open_files: {} takes {} file descriptors; the limit of this process is {}, of "
               "which {} are taken and {} are kept for other uses: raise RLIMIT_NOFILE (ulimit -n, "
               "LimitNOFILE= of systemd, the ulimits of a container)",
               what, cost.descriptors, limits_.descriptors, taken.descriptors, kept);
}

void SocketBudget::Return(SocketCost cost) {
  MutexLock lock(&mutex_);
  taken_.descriptors -= cost.descriptors;
  taken_.sockets -= cost.sockets;
  counters_->descriptors_taken.store(taken_.descriptors, std::memory_order_relaxed);
}

SocketBudget::Limits ProcessLimits(size_t max_sockets, size_t replays_at_a_time) {
  SocketBudget::Limits limits;
  limits.sockets = max_sockets;
  limits.descriptors = RaisedDescriptorLimit();
  limits.kept_for_others = std::min(limits::kReservedDescriptors, limits.descriptors / 8 * 3);
  limits.kept_for_replays =
      std::min(replays_at_a_time * kReplayCost.descriptors, limits.descriptors / 8);
  return limits;
}

}  // namespace kvroute
