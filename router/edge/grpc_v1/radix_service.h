#ifndef KVROUTE_ROUTER_EDGE_GRPC_V1_RADIX_SERVICE_H_
#define KVROUTE_ROUTER_EDGE_GRPC_V1_RADIX_SERVICE_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "kvroute/radix/radix_index.grpc.pb.h"
#include "router/edge/grpc_v1/stream_place.h"
#include "router/route/router.h"
#include "router/route/routing_stats.h"

namespace kvroute {

// One query of SMG's gateway, answered from the index: the workers of the keyspace's model, by
// address, with what each holds of the prompt. A query that cannot be answered (another hash
// scheme, text instead of tokens, an unknown model) has an answer without scores, upon which the
// gateway falls back to what it knows itself; it is counted.
void AnswerRadixQuery(Router* router, const radix_index::Query& query, RoutingStats* stats,
                      radix_index::Match* match);

using RadixMethods = radix_index::RadixIndex::WithRawMethod_Subscribe<
    radix_index::RadixIndex::WithRawMethod_Publish<radix_index::RadixIndex::Service>>;

// SMG's RadixIndex over gRPC, beside kvroute's own API and within its limits.
//
// Thread safety: Serve before the loop starts. Ownership: all that is given to it must outlive the
// service, and the service the loop. Errors: as RouterService's streams.
class RadixService final : public RadixMethods {
 public:
  RadixService(Router* router, RoutingStats* stats, RpcStreams* streams, size_t max_streams,
               std::chrono::milliseconds idle_timeout);

  // Awaits calls on the loop, once the server runs. `parts` must outlive the loop.
  void Serve(const EdgeParts& parts);

 private:
  StreamMethod<RadixService, radix_index::Query, radix_index::Match> subscribe_;
  StreamMethod<RadixService, radix_index::Update, radix_index::PublishAck> publish_;
  const size_t max_streams_;
  std::vector<std::unique_ptr<CallPlaces>> methods_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_V1_RADIX_SERVICE_H_
