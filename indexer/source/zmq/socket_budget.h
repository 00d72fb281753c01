#ifndef KVROUTE_INDEXER_SOURCE_ZMQ_SOCKET_BUDGET_H_
#define KVROUTE_INDEXER_SOURCE_ZMQ_SOCKET_BUDGET_H_

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "indexer/base/mutex.h"
#include "indexer/stream/ingest_counters.h"

namespace kvroute {

// What something with sockets takes: of libzmq's sockets and of the process's descriptors. libzmq
// opens a connection's descriptor when it pleases, on a thread where a refusal can no longer be
// answered, so all are counted before the first is opened.
struct SocketCost {
  size_t sockets = 0;
  size_t descriptors = 0;
};
// A SUB socket and the two ends of its monitor, with a descriptor each to wait on, and a
// connection.
inline constexpr SocketCost kSubscriptionCost{.sockets = 3, .descriptors = 4};
// A DEALER socket and its connection.
inline constexpr SocketCost kReplayCost{.sockets = 1, .descriptors = 2};
// A connection that an engine made to a listener.
inline constexpr SocketCost kConnectionCost{.sockets = 0, .descriptors = 1};
// A STREAM socket, a listening descriptor and both ends of a connection.
inline constexpr SocketCost kIoWatchCost{.sockets = 1, .descriptors = 4};

// How much of it the process may have. Thread safety: every method from any thread. Ownership: the
// counters outlive it, and it outlives its shares. Errors: RESOURCE_EXHAUSTED names the limit, what
// is taken of it, and how to raise it.
class SocketBudget {
 public:
  struct Limits {
    size_t sockets = 0;
    size_t descriptors = 0;       // of the process
    size_t kept_for_others = 0;   // of them
    size_t kept_for_replays = 0;  // of them: streams that cannot be replayed are of no use
  };
  SocketBudget(const Limits& limits, IngestCounters* counters)
      : limits_(limits), counters_(counters) {}

  const Limits& limits() const { return limits_; }

  // What was taken, until it goes. Movable.
  class Share {
   public:
    Share() = default;
    Share(SocketBudget* budget, SocketCost cost) : budget_(budget), cost_(cost) {}
    ~Share() { Return(); }
    Share(Share&& other) noexcept { *this = std::move(other); }
    Share& operator=(Share&& other) noexcept;
    void Return();
    bool held() const { return budget_ != nullptr; }

   private:
    SocketBudget* budget_ = nullptr;
    SocketCost cost_;
  };

  absl::StatusOr<Share> TakeForStream(SocketCost cost);  // a refusal is counted
  absl::StatusOr<Share> TakeForReplay(SocketCost cost);  // by whoever asks: it is asked for again

 private:
  absl::StatusOr<Share> Take(SocketCost cost, size_t kept, std::string_view what);
  void Return(SocketCost cost);

  const Limits limits_;
  IngestCounters* const counters_;
  Mutex mutex_;
  SocketCost taken_ ABSL_GUARDED_BY(mutex_);
};

// The process's soft limit of descriptors, raised to its hard one first; what is kept of it for
// others is kReservedDescriptors, or three eighths where there are few.
SocketBudget::Limits ProcessLimits(size_t max_sockets, size_t replays_at_a_time);

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_ZMQ_SOCKET_BUDGET_H_
