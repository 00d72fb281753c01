#ifndef KVROUTE_ROUTER_EDGE_GRPC_V1_RPC_STREAMS_H_
#define KVROUTE_ROUTER_EDGE_GRPC_V1_RPC_STREAMS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "router/edge/grpc_base/connection.h"

namespace kvroute {

// An open RPC stream, as those that share its limit see it.
class RpcStream {
 public:
  virtual ~RpcStream() = default;
  virtual Connection* connection() const = 0;
  // For how many turns it has had no request; 0 while one is answered.
  virtual uint32_t idle_turns() const = 0;
  virtual void End(const std::string& message) = 0;
};

// The open streams that share one limit. Connections share it fairly: at the limit the stream of a
// connection that has fewer takes the place of the longest idle one of the connection that has
// most.
//
// Thread safety: the event loop's. Ownership: none. Errors: RESOURCE_EXHAUSTED names the limit.
class RpcStreams {
 public:
  using Counter = std::atomic<uint64_t>;
  struct Counters {
    Counter* open = nullptr;
    Counter* refused = nullptr;
    Counter* ended = nullptr;  // by us: idle for too long, or for others
  };
  RpcStreams(std::string_view limit_name, size_t limit, const Counters& counters)
      : limit_name_(limit_name), limit_(limit), counters_(counters) {}

  absl::Status Admit(RpcStream* stream);
  void Remove(RpcStream* stream);  // harmless when it is not there
  void End(RpcStream* stream, const std::string& message);

 private:
  RpcStream* WhoGivesWayTo(const RpcStream& stream) const;  // nullptr: nobody
  void CountOpen();

  const std::string_view limit_name_;
  const size_t limit_;
  const Counters counters_;
  std::vector<RpcStream*> open_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_V1_RPC_STREAMS_H_
