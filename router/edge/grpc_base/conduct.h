#ifndef KVROUTE_ROUTER_EDGE_GRPC_BASE_CONDUCT_H_
#define KVROUTE_ROUTER_EDGE_GRPC_BASE_CONDUCT_H_

#include <chrono>
#include <cstdint>
#include <optional>

#include "indexer/base/limits.h"
#include "router/edge/grpc_base/call_counts.h"
#include "router/edge/grpc_base/connection.h"
#include "router/route/routing_stats.h"

namespace kvroute {

// How often connections and calls are looked at.
inline constexpr std::chrono::milliseconds kTurn(100);

struct ConductLimits {
  uint64_t max_open_calls = 0;                 // that an honest client keeps to
  std::chrono::milliseconds write_timeout{0};  // of bytes that the peer does not take
  uint64_t max_cancelled_calls_per_second = limits::kMaxCancelledCallsPerSecond;
};

// Whether one connection may go on, judged once a turn by what gRPC and the kernel count of it. It
// finds what gRPC 1.51 lets pass and no service sees: calls that are begun and cancelled without
// end, more open calls than the client was told it may have, requests that are begun and never
// finished, frames that belong to no call, and answers that are not read.
//
// Thread safety: one thread.
class Conduct {
 public:
  explicit Conduct(const ConductLimits& limits) : limits_(limits) {}

  struct Reading {
    TcpReading tcp;
    CallCounts calls;
    uint64_t calls_at_edge = 0;  // those of the open calls that the edge serves or waits with
  };
  // The reason to cut the connection.
  std::optional<ConnectionEnd> Judge(const Reading& now);

 private:
  bool CancelsTooMuch(const Reading& now);
  bool DoesNotRead(const Reading& now);
  bool FinishesNoRequest(const Reading& now);
  bool SendsWithoutCalls(const Reading& now);

  ConductLimits limits_;
  Reading before_;
  // Calls that it may cancel without being cut; grows with time, up to a second's worth.
  double may_cancel_ = 0;
  bool first_ = true;
  // For how many turns in a row.
  uint32_t unread_turns_ = 0, unfinished_turns_ = 0, noisy_turns_ = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_BASE_CONDUCT_H_
