#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_ROUTE_MESSAGES_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_ROUTE_MESSAGES_H_

#include <vector>

#include "indexer/event/event.h"
#include "kvroute/v1/router.pb.h"

namespace kvroute {

// Asks where `prompt` should go, as a client's message.
inline v1::RouteRequest RouteRequestFor(const std::vector<TokenId>& prompt) {
  v1::RouteRequest request;
  request.set_model("m");
  request.mutable_prompt()->mutable_token_ids()->Add(prompt.begin(), prompt.end());
  return request;
}

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_ROUTE_MESSAGES_H_
