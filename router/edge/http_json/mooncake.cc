#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "indexer/base/error.h"
#include "router/edge/http_json/dialect.h"

namespace kvroute::mooncake {
namespace {

using Json = nlohmann::ordered_json;

std::string_view ReasonName(FieldRefusal::Reason reason) {
  switch (reason) {
    case FieldRefusal::Reason::kMissing:
      return "missing";
    case FieldRefusal::Reason::kWrongType:
      return "invalid_type";
    case FieldRefusal::Reason::kWrongValue:
      return "invalid_value";
    case FieldRefusal::Reason::kOutOfRange:
      return "out_of_range";
    case FieldRefusal::Reason::kNoList:
      return "not_array";
    case FieldRefusal::Reason::kUnsupported:
      return "unsupported";
    case FieldRefusal::Reason::kBroken:
      return "invalid_json";
  }
  return "invalid_value";
}

// The instance's name; some clients have numbers for it.
void TakeInstance(const Fields& fields, FieldTaker* taker, std::string* instance) {
  const FieldValue* const id = fields.Find("instance_id");
  if (id != nullptr && id->kind == FieldValue::Kind::kInt && !id->negative) {
    *instance = fmt::format("{}", id->number);
  } else {
    taker->Text("instance_id", instance);
  }
  if (id != nullptr && instance->empty()) {
    taker->Refuse(FieldRefusal::Reason::kWrongValue, "instance_id", "instance_id: is empty");
  }
}

void TakeTenant(FieldTaker* taker, std::string* tenant) {
  *tenant = kDefaultGroup;
  taker->Text("tenant_id", tenant);
  if (tenant->empty()) *tenant = kDefaultGroup;
}

void TakeEngine(FieldTaker* taker, Registration* registration) {
  std::string type = "vLLM";
  taker->Text("type", &type);
  if (type == "vLLM") {
    registration->engine = EngineKind::kVllm;
  } else if (type == "SGLang") {
    registration->engine = EngineKind::kSglang;
  } else {
    taker->Refuse(FieldRefusal::Reason::kUnsupported, "type",
                  "type: only vLLM and SGLang publish what "
                  "kvroute reads");
  }
}

}  // namespace

std::optional<FieldRefusal> ReadRegistration(const Fields& fields, Registration* registration) {
  FieldTaker taker(fields);
  for (const char* field : {"endpoint", "modelname", "instance_id", "block_size"}) {
    taker.Require(field);
  }
  taker.Text("endpoint", &registration->event_endpoint);
  taker.Text("replay_endpoint", &registration->replay_endpoint);
  taker.Text("modelname", &registration->at.model);
  TakeTenant(&taker, &registration->at.group);
  TakeInstance(fields, &taker, &registration->at.instance);
  taker.BlockSize("block_size", &registration->block_size_tokens);
  taker.Uint32("dp_rank", &registration->at.rank);
  TakeEngine(&taker, registration);
  return taker.refusal();
}

std::optional<FieldRefusal> ReadRemoval(const Fields& fields, Removal* removal) {
  FieldTaker taker(fields);
  taker.Require("instance_id");
  TakeInstance(fields, &taker, &removal->instance);
  TakeTenant(&taker, &removal->group.emplace());
  if (fields.Find("dp_rank") != nullptr) taker.Uint32("dp_rank", &removal->rank.emplace());
  if (fields.Find("modelname") != nullptr) taker.Text("modelname", &removal->model.emplace());
  return taker.refusal();
}

std::optional<FieldRefusal> ReadQuery(const Fields& fields, ScoreAsk* ask) {
  FieldTaker taker(fields);
  for (const char* field : {"model", "token_ids"}) taker.Require(field);
  taker.Text("model", &ask->model);
  TakeTenant(&taker, &ask->group);
  taker.TokenIds("token_ids", &ask->token_ids);
  taker.Text("lora_name", &ask->lora_name);
  taker.Text("cache_salt", &ask->cache_salt);
  taker.BlockSize("block_size", &ask->block_size_tokens);
  if (fields.Find("instance_id") != nullptr) {
    TakeInstance(fields, &taker, &ask->instance.emplace());
  }
  return taker.refusal();
}

DialectReply RegisteredReply(const Registration& registration) {
  return {.json = Json{{"status", "registered successfully"},
                       {"instance_id", registration.at.instance}}};
}

DialectReply RemovedReply(const std::vector<InstanceRank>& removed) {
  Json list = Json::array();
  for (const InstanceRank& it : removed) {
    list.push_back(fmt::format("{}|{}|{}", it.instance, it.group, it.rank));
  }
  return {.json = Json{{"status", "unregistered successfully"}, {"removed_instances", list}}};
}

DialectReply ScoresReply(const std::map<std::string, InstanceScore>& scores, MooncakeReply form,
                         const std::string& tenant) {
  const bool by_tenant = form == MooncakeReply::kTenant;
  Json instances = Json::object();
  for (const auto& [instance, score] : scores) {
    Json ranks = Json::object();
    for (const auto& [rank, tokens] : score.gpu_by_rank) ranks[fmt::format("{}", rank)] = tokens;
    instances[instance] = {{"longest_matched", score.disk},
                           {by_tenant ? "GPU" : "gpu", score.gpu},
                           {by_tenant ? "DP" : "dp", ranks},
                           {by_tenant ? "CPU" : "cpu", score.cpu_alone},
                           {by_tenant ? "DISK" : "disk", score.disk_alone}};
  }
  return {.json = Json{{by_tenant ? tenant : "instances", instances}}};
}

DialectReply RefusalReply(const FieldRefusal& refusal) {
  if (refusal.reason == FieldRefusal::Reason::kBroken)
    return {.status = 400, .text = "Invalid JSON"};
  return {.status = 400,
          .json = Json{{"error", refusal.message},
                       {"reason", ReasonName(refusal.reason)},
                       {"field", refusal.field},
                       {"index", refusal.index ? Json(*refusal.index) : Json()}}};
}

DialectReply ErrorReply(const absl::Status& status) {
  DialectReply reply = dynamo::ErrorReply(status);
  const bool about_registration = reply.status == 409 || reply.status == 400;
  if (!about_registration) return reply;
  reply.status = 400;
  (*reply.json)["reason"] = "invalid_registration";
  (*reply.json)["field"] = nullptr;
  (*reply.json)["index"] = nullptr;
  return reply;
}

DialectReply ServicesReply(const FleetSnapshot& fleet) {
  Json services = Json::array();
  for (const FleetTarget& target : fleet.targets) {
    const InstanceRank it = InstanceOf(target);
    const WorkerSpec& spec = target.worker->spec;
    const bool dialled = target.worker->source != WorkerSource::kDiscovered;
    const StreamConfig stream = dialled ? StreamConfigOf(spec, target.rank) : StreamConfig();
    services.push_back({{"Endpoint", stream.event_endpoint},
                        {"ReplayEndpoint", stream.replay_endpoint},
                        {"Type", spec.engine == EngineKind::kSglang ? "SGLang" : "vLLM"},
                        {"ModelName", it.model},
                        {"LoraName", ""},
                        {"TenantID", it.group},
                        {"InstanceID", it.instance},
                        {"BlockSize", target.block_size_tokens()},
                        {"DPRank", it.rank},
                        {"CacheGroup", nullptr},
                        {"HashProfile", nullptr}});
  }
  return {.json = Json{{"count", services.size()}, {"services", std::move(services)}}};
}

}  // namespace kvroute::mooncake
