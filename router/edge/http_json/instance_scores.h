#ifndef KVROUTE_ROUTER_EDGE_HTTP_JSON_INSTANCE_SCORES_H_
#define KVROUTE_ROUTER_EDGE_HTTP_JSON_INSTANCE_SCORES_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "indexer/event/event.h"
#include "router/fleet/fleet.h"
#include "router/route/router.h"

namespace kvroute {

// What an instance holds of a prompt, in tokens. A block counts for the fastest tier that has it:
// `gpu` + what only the CPU has = `cpu`, and so on.
struct InstanceScore {
  std::map<uint32_t, uint64_t> gpu_by_rank;
  // Each the most that one of its ranks has.
  uint64_t gpu = 0;
  uint64_t cpu = 0;   // within reach of the CPU: GPU and CPU together
  uint64_t disk = 0;  // wherever it is; also the longest match
  // Of the rank with the longest match, tier by tier.
  uint64_t cpu_alone = 0;
  uint64_t disk_alone = 0;  // and external ones
};

// What is asked, by either client.
struct ScoreAsk {
  std::string model;
  std::string group;
  std::string lora_name;
  std::string cache_salt;
  std::vector<TokenId> token_ids;
  std::optional<std::vector<uint64_t>> local_hashes;  // instead of tokens
  std::optional<std::string> instance;                // only this one
  uint32_t block_size_tokens = 0;                     // only those who have it; 0: all
};

// By instance; those that hold nothing are left out. All from one state of the fleet and, of each
// rank, of the index. Errors: NOT_FOUND: nobody serves the model in that group; the Router's.
absl::StatusOr<std::map<std::string, InstanceScore>> ScoreInstances(const ScoreAsk& ask,
                                                                    const Fleet& fleet,
                                                                    Router* router);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_HTTP_JSON_INSTANCE_SCORES_H_
