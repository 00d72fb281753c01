#ifndef KVROUTE_ROUTER_ROUTE_QUERY_H_
#define KVROUTE_ROUTER_ROUTE_QUERY_H_

#include <cstdint>
#include <string_view>

#include "absl/types/span.h"
#include "router/prompt/prompt_view.h"

// What an edge asks of the Router, whatever its protocol: unchecked, and viewed where it lies.
// Whoever makes a query keeps alive what it points into until it is answered.
namespace kvroute {

// A target as a client names it.
struct TargetName {
  std::string_view worker_id;
  uint32_t rank = 0;
};

// "Where should this prompt go?"
struct Query {
  std::string_view model;  // empty: the only model that the workers serve
  PromptView prompt;
  PromptNamespace prompt_namespace;
  // Only these may be chosen or scored; those that are no target of the model are passed over.
  // Empty: all targets of the model.
  absl::Span<const TargetName> candidates;

  // Of Route and Explain.
  std::string_view request_id;          // of the lease; empty: the Router makes one up
  uint32_t expected_output_tokens = 0;  // 0: unknown
  std::string_view policy;              // by its name; empty: the default policy
  uint32_t runner_ups = 0;              // next best targets to name beside the chosen one

  // Of Score: leave out targets that hold nothing and whose stream is exact.
  bool only_matching = false;
};

// How far a routed request has come, numbered as in the API. It may hold any number: what a client
// sends is checked by Router::Complete.
enum class Progress : int {
  kUnspecified = 0,  // refused
  kPrefilled = 1,    // its first token is out
  kEnded = 2,        // finished, failed or cancelled
};

// What became of a routed request.
struct Outcome {
  std::string_view request_id;
  Progress progress = Progress::kUnspecified;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_ROUTE_QUERY_H_
