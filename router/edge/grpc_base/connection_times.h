#ifndef KVROUTE_ROUTER_EDGE_GRPC_BASE_CONNECTION_TIMES_H_
#define KVROUTE_ROUTER_EDGE_GRPC_BASE_CONNECTION_TIMES_H_

#include <chrono>

namespace kvroute {

// How long connections live, and whose are given up.
struct ConnectionTimes {
  // A client that has been silent for so long is asked whether it is still there, and after the
  // timeout its connection ends, and with that its calls.
  std::chrono::milliseconds keepalive_time{60'000};
  std::chrono::milliseconds keepalive_timeout{20'000};
  // Clients that ask the same of us more often, without any other traffic, are cut off (GOAWAY,
  // too_many_pings) after a few. What gRPC's own libraries may be set to is 10 s at least, or a
  // second by those who do not listen to that.
  std::chrono::milliseconds min_ping_interval{1'000};
  // A connection is asked to go (GOAWAY) when it is so old, give or take a tenth, and cut off when
  // its calls have not ended within the grace. 0: never.
  std::chrono::milliseconds max_age{0};
  std::chrono::milliseconds max_age_grace{30'000};
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_BASE_CONNECTION_TIMES_H_
