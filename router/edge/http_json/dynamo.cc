#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "router/edge/http_json/dialect.h"

namespace kvroute::dynamo {
namespace {

using Json = nlohmann::ordered_json;

std::string KeyOf(const std::string& instance) {
  return fmt::format("{}", InstanceNumber(instance));
}

// Worst first.
enum class ListenerState : uint8_t { kFailed, kPending, kActive };
constexpr std::string_view kListenerStates[] = {"failed", "pending", "active"};

ListenerState StateOf(const FleetTarget& target) {
  if (target.stream->connected.load()) return ListenerState::kActive;
  return target.stream->trust.load() == Trust::kCold ? ListenerState::kPending
                                                     : ListenerState::kFailed;
}

std::string EndpointOf(const FleetTarget& target) {
  if (target.worker->source == WorkerSource::kDiscovered) return "";
  return StreamConfigOf(target.worker->spec, target.rank).event_endpoint;
}

struct ListedInstance {
  Json json;
  ListenerState worst = ListenerState::kActive;
};

void AddListener(const FleetTarget& target, const InstanceRank& it, ListedInstance* listed) {
  const ListenerState state = StateOf(target);
  const std::string rank = fmt::format("{}", it.rank);
  if (listed->json.is_null()) {
    listed->json = {{"instance_id", InstanceNumber(it.instance)},
                    {"source", "zmq"},
                    {"status", ""},
                    {"model_name", it.model},
                    {"routing_group", it.group},
                    {"block_size", target.block_size_tokens()},
                    {"endpoints", Json::object()},
                    {"listeners", Json::object()},
                    {"worker_id", it.instance}};
  }
  listed->worst = std::min(listed->worst, state);
  listed->json["status"] = kListenerStates[static_cast<size_t>(listed->worst)];
  listed->json["endpoints"][rank] = EndpointOf(target);
  Json& listener = listed->json["listeners"][rank];
  listener = {{"endpoint", EndpointOf(target)},
              {"status", kListenerStates[static_cast<size_t>(state)]}};
  if (state == ListenerState::kFailed) {
    const std::string error(TrustReasonName(target.stream->reason.load()));
    listener["last_error"] = error;
    listed->json["last_error"] = error;
  }
}

}  // namespace

bool Speaks(const Fields& fields) {
  const FieldValue* const id = fields.Find("instance_id");
  return fields.Has("model_name") || fields.Has("block_hashes") ||
         (id != nullptr && id->kind == FieldValue::Kind::kInt);
}

std::optional<FieldRefusal> ReadRegistration(const Fields& fields, Registration* registration) {
  FieldTaker taker(fields);
  for (const char* field : {"instance_id", "endpoint", "model_name", "block_size"}) {
    taker.Require(field);
  }
  uint64_t instance = 0;
  taker.Uint("instance_id", UINT64_MAX, &instance);
  taker.Text("endpoint", &registration->event_endpoint);
  taker.Text("model_name", &registration->at.model);
  taker.BlockSize("block_size", &registration->block_size_tokens);
  taker.Text("routing_group", &registration->at.group);
  taker.Uint32("dp_rank", &registration->at.rank);
  taker.Text("replay_endpoint", &registration->replay_endpoint);
  registration->at.instance = fmt::format("{}", instance);
  return taker.refusal();
}

std::optional<FieldRefusal> ReadRemoval(const Fields& fields, Removal* removal) {
  FieldTaker taker(fields);
  for (const char* field : {"instance_id", "model_name"}) taker.Require(field);
  uint64_t instance = 0;
  std::string model, group;
  uint32_t rank = 0;
  taker.Uint("instance_id", UINT64_MAX, &instance);
  taker.Text("model_name", &model);
  taker.Text("routing_group", &group);
  taker.Uint32("dp_rank", &rank);
  removal->instance = fmt::format("{}", instance);
  removal->model = model;
  if (fields.Find("routing_group") == nullptr) return taker.refusal();  // all of its groups
  removal->group = group;
  if (fields.Find("dp_rank") != nullptr) removal->rank = rank;
  return taker.refusal();
}

namespace {

void TakeTerms(FieldTaker* taker, ScoreAsk* ask) {
  ask->group = kDefaultGroup;
  taker->Require("model_name");
  taker->Text("model_name", &ask->model);
  taker->Text("routing_group", &ask->group);
}

}  // namespace

std::optional<FieldRefusal> ReadQuery(const Fields& fields, ScoreAsk* ask) {
  FieldTaker taker(fields);
  taker.Require("token_ids");
  TakeTerms(&taker, ask);
  taker.TokenIds("token_ids", &ask->token_ids);
  taker.Text("lora_name", &ask->lora_name);
  taker.Text("cache_salt", &ask->cache_salt);
  return taker.refusal();
}

std::optional<FieldRefusal> ReadHashQuery(const Fields& fields, ScoreAsk* ask) {
  FieldTaker taker(fields);
  taker.Require("block_hashes");
  TakeTerms(&taker, ask);
  taker.Hashes("block_hashes", &ask->local_hashes.emplace());
  if (fields.Find("cache_salt") != nullptr) {
    taker.Refuse(FieldRefusal::Reason::kUnsupported, "cache_salt",
                 "cache_salt: hashes of blocks say nothing of it; ask with token_ids");
  }
  return taker.refusal();
}

DialectReply ScoresReply(const std::map<std::string, InstanceScore>& scores) {
  Json by_rank = Json::object(), instances = Json::object();
  for (const auto& [instance, score] : scores) {
    const std::string key = KeyOf(instance);
    Json ranks = Json::object();
    for (const auto& [rank, tokens] : score.gpu_by_rank) ranks[fmt::format("{}", rank)] = tokens;
    if (!ranks.empty()) by_rank[key] = ranks;
    instances[key] = {{"longest_matched", score.disk},
                      {"gpu", score.gpu},
                      {"dp", ranks},
                      {"cpu", score.cpu},
                      {"disk", score.disk}};
  }
  return {.json =
              Json{{"scores", by_rank}, {"frequencies", Json::array()}, {"instances", instances}}};
}

// As axum says it: text, and another status for the shape than for the meaning.
DialectReply RefusalReply(const FieldRefusal& refusal) {
  if (refusal.reason == FieldRefusal::Reason::kUnsupported ||
      refusal.reason == FieldRefusal::Reason::kWrongValue) {
    return {.status = 400, .json = Json{{"error", refusal.message}}};
  }
  if (refusal.reason == FieldRefusal::Reason::kBroken) {
    return {.status = 400, .text = "Failed to parse the request body as JSON: " + refusal.message};
  }
  return {.status = 422,
          .text = "Failed to deserialize the JSON body into the target type: " + refusal.message};
}

DialectReply ErrorReply(const absl::Status& status) {
  int code = 500;
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      code = 400;
      break;
    case absl::StatusCode::kNotFound:
      code = 404;
      break;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
      code = 409;
      break;
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnavailable:
      code = 503;
      break;
    default:
      break;
  }
  return {.status = code, .json = Json{{"error", MessageOf(status)}}};
}

DialectReply WorkersReply(const FleetSnapshot& fleet, std::string_view model,
                          std::string_view group) {
  std::map<std::string, ListedInstance> listed;  // targets of a model stand together
  for (const FleetTarget& target : fleet.targets) {
    const InstanceRank it = InstanceOf(target);
    if (!model.empty() && it.model != model) continue;
    if (!group.empty() && it.group != group) continue;
    AddListener(target, it, &listed[it.model + '\n' + it.group + '\n' + it.instance]);
  }
  Json list = Json::array();
  for (auto& [key, instance] : listed) list.push_back(std::move(instance.json));
  return {.json = std::move(list)};
}

DialectReply DumpReply(const FleetSnapshot& fleet) {
  Json dump = Json::object();
  for (const FleetTarget& target : fleet.targets) {
    const InstanceRank it = InstanceOf(target);
    dump[it.model + ":" + it.group] = {
        {"error",
         "kvroute keeps blocks by their prefix, not by hashes of their own: there is "
         "nothing to dump; point the peer at the engines"}};
  }
  return {.json = std::move(dump)};
}

}  // namespace kvroute::dynamo
