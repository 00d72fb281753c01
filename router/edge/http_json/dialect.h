#ifndef KVROUTE_ROUTER_EDGE_HTTP_JSON_DIALECT_H_
#define KVROUTE_ROUTER_EDGE_HTTP_JSON_DIALECT_H_

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "router/edge/http_json/fields.h"
#include "router/edge/http_json/instance_scores.h"
#include "router/edge/http_json/instances.h"
#include "router/edge/http_json/mooncake_reply.h"

// What two indexers' clients write and expect to read: pure functions between their JSON and ours.
namespace kvroute {

// An answer whose body is this value, in the format that the request had. Without a value: text.
struct DialectReply {
  int status = 200;
  std::optional<nlohmann::ordered_json> json = {};
  std::string text = "";
};

// Dynamo's standalone indexer.
namespace dynamo {

// The body is its own when it has a field that only its clients send.
bool Speaks(const Fields& fields);
std::optional<FieldRefusal> ReadRegistration(const Fields& fields, Registration* registration);
std::optional<FieldRefusal> ReadRemoval(const Fields& fields, Removal* removal);
std::optional<FieldRefusal> ReadQuery(const Fields& fields, ScoreAsk* ask);
std::optional<FieldRefusal> ReadHashQuery(const Fields& fields, ScoreAsk* ask);

DialectReply ScoresReply(const std::map<std::string, InstanceScore>& scores);
DialectReply RefusalReply(const FieldRefusal& refusal);
DialectReply ErrorReply(const absl::Status& status);
// GET /workers; an empty filter lets all through.
DialectReply WorkersReply(const FleetSnapshot& fleet, std::string_view model,
                          std::string_view group);
// GET /dump: by model and group, why there is none.
DialectReply DumpReply(const FleetSnapshot& fleet);

}  // namespace dynamo

// Mooncake's Conductor.
namespace mooncake {

std::optional<FieldRefusal> ReadRegistration(const Fields& fields, Registration* registration);
std::optional<FieldRefusal> ReadRemoval(const Fields& fields, Removal* removal);
std::optional<FieldRefusal> ReadQuery(const Fields& fields, ScoreAsk* ask);

DialectReply RegisteredReply(const Registration& registration);
DialectReply RemovedReply(const std::vector<InstanceRank>& removed);
DialectReply ScoresReply(const std::map<std::string, InstanceScore>& scores, MooncakeReply form,
                         const std::string& tenant);
DialectReply RefusalReply(const FieldRefusal& refusal);
DialectReply ErrorReply(const absl::Status& status);
DialectReply ServicesReply(const FleetSnapshot& fleet);

}  // namespace mooncake
}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_HTTP_JSON_DIALECT_H_
