#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_ECHO_SERVER_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_ECHO_SERVER_H_

#include <memory>
#include <string_view>

#include "kvroute/v1/router.pb.h"

namespace kvroute {

// A bare gRPC server that answers Router.Route and Router.RouteStream with one prebuilt response:
// what gRPC itself costs for these messages, in each of its server styles. Each parses the request
// and serializes the response, and does nothing else.
//
// Thread safety: one thread. Errors: a programmer's (it cannot listen).
class EchoServer {
 public:
  virtual ~EchoServer() = default;
  int port() const { return port_; }

 protected:
  int port_ = 0;
};

// gRPC's own threads, as many as kvroute's server keeps.
std::unique_ptr<EchoServer> StartSyncEcho(const v1::RouteResponse& answer);
// Reactors on gRPC's own event threads.
std::unique_ptr<EchoServer> StartCallbackEcho(const v1::RouteResponse& answer);
// `threads` completion queues with one thread each. Messages are used again from call to call.
std::unique_ptr<EchoServer> StartAsyncEcho(const v1::RouteResponse& answer, int threads);

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_ECHO_SERVER_H_
