#ifndef KVROUTE_ROUTER_SERVE_MEMORY_PLAN_H_
#define KVROUTE_ROUTER_SERVE_MEMORY_PLAN_H_

#include <cstddef>
#include <string>
#include <vector>

#include "indexer/base/memory_budget.h"
#include "router/config/serve_config.h"

// How memory.limit is divided for a configuration, and what of the configuration it cuts down.
namespace kvroute {

// The most that each part can use: what the configuration, or a limit that is no field, allows it.
MemoryCeilings CeilingsOf(const ServeConfig& config);

// Limits that are no fields, as far as the parts allow them.
struct MemoryPlan {
  size_t grpc_memory_bytes = 0;    // gRPC's buffers of the API
  size_t picker_memory_bytes = 0;  // and of the endpoint picker
  size_t unsent_page_bytes = 0;    // of one HTTP listener
  size_t http_connections = 0;     // likewise
  size_t http_replies_bytes = 0;
  size_t text_pieces = 0;
};
MemoryPlan PlanFor(const ServeConfig& config, const MemoryBudgets& memory);

// Cuts down what does not fit into its part, and says so in one line for each field that a person
// may have expected otherwise.
std::vector<std::string> FitToMemory(const MemoryBudgets& memory, ServeConfig* config);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_SERVE_MEMORY_PLAN_H_
