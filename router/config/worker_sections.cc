// Engines: those that connect to kvroute, and workers by name.
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "indexer/base/api_limits.h"
#include "indexer/base/error.h"
#include "router/config/config_sections.h"

namespace kvroute {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

void VisitCopies(FieldVisitor* v, std::optional<CopyMode>* copies) {
  constexpr std::string_view kByEngine = "by_engine";
  std::string text(copies->has_value() ? kCopyModeNames[**copies] : kByEngine);
  std::vector<std::string_view> choices = {kByEngine};
  choices.insert(choices.end(), kCopyModeNames.begin(), kCopyModeNames.end());
  v->Text({"copies", "What a second store of a held block means: another copy, or nothing new.",
           Applies::kLive},
          {.choices = std::move(choices)}, &text);
  *copies = kCopyModeNames.Parse(text);
}

void VisitFirstRank(FieldVisitor* v, std::optional<uint32_t>* first_rank) {
  constexpr std::string_view kLearned = "learned";
  std::string text =
      first_rank->has_value() ? fmt::format("{}", **first_rank) : std::string(kLearned);
  v->Text({"first_rank",
           "What the engines call rank 0 in what they publish, e.g. 8 for global ranks 8 and 9; "
           "learned: from what they publish.",
           Applies::kLive},
          {.max_bytes = 16}, &text);
  uint32_t number = 0;
  const bool is_number = absl::SimpleAtoi(text, &number);
  *first_rank = is_number ? std::optional<uint32_t>(number) : std::nullopt;
  v->Check([text, is_number, kLearned] {
    if (is_number || text == kLearned) return absl::OkStatus();
    return InvalidArgument("first_rank: \"{}\" is neither a number nor {}", text, kLearned);
  });
}

void VisitLabels(FieldVisitor* v, std::map<std::string, std::string>* labels) {
  std::vector<std::pair<std::string, std::string>> list(labels->begin(), labels->end());
  v->ListOf(Field{"labels", "For people and filters of the API; nothing is chosen by them.",
                  Applies::kLive},
            limits::kMaxLabels, &list, [v](auto* label) {
              v->Text({"key", "Of A-Z a-z 0-9 . _ - /.", Applies::kLive},
                      {.max_bytes = limits::kMaxLabelKeyBytes, .required = true}, &label->first);
              v->Text({"value", "Printable ASCII.", Applies::kLive},
                      {.max_bytes = limits::kMaxLabelValueBytes}, &label->second);
            });
  *labels = {list.begin(), list.end()};
  v->Check([named = list.size(), kept = labels->size()] {
    return named == kept ? absl::OkStatus() : InvalidArgument("labels: a key is named twice");
  });
}

void VisitNames(FieldVisitor* v, const Field& field, size_t most, std::vector<std::string>* names) {
  v->ListOf(field, most, names, [v](std::string* name) {
    v->Text({"name", "Printable ASCII.", Applies::kLive},
            {.max_bytes = limits::kMaxModelBytes, .required = true}, name);
  });
}

}  // namespace

void VisitListener(FieldVisitor* v, ListenerFields* fields) {
  ListenerConfig* const listener = &fields->config;
  v->Text({"endpoint", "ZeroMQ address to bind (not ipc); engines connect to it."},
          {.max_bytes = limits::kMaxEndpointBytes, .required = true}, &listener->endpoint);
  v->Text({"topic", "Topics to take; the part behind kv@ names worker and model."},
          {.max_bytes = limits::kMaxTopicBytes}, &listener->topic);
  v->Choice({"engine", "Wire dialect of the engines."}, kEngineKindNames, &listener->engine);
  v->Number({"replay_port", "Of every engine's replay socket, at the host in its topic; 0: none."},
            "", 0, 65'535, &listener->replay_port);
  v->Bool({"allow_host_names",
           "Whether the host in a topic may be a name: whoever can connect then has kvroute ask "
           "name servers for it. Else such an engine is not asked to replay."},
          &listener->allow_host_names);
  v->Number({"max_discovered_streams",
             "Topics followed at once; new ones beyond it are left out and counted."},
            "streams", 1, limits::kMaxStreams, &listener->max_discovered_streams);
  v->Millis(
      {"expire_after",
       "A stream whose connection is lost is forgotten, with its worker, after so much silence "
       "of its engine; 0: never."},
      milliseconds(0), hours(24), &listener->expire_after);
  v->Group({"curve", ""}, [&] {
    v->Text({"server_secret_key_file",
             "ZeroMQ CURVE, Z85 text; engines must know its public half. Empty: plain text."},
            {}, &fields->curve_server_secret_key_file);
  });
}

void VisitWorker(FieldVisitor* v, WorkerConfig* worker) {
  WorkerSpec& spec = worker->spec;
  v->Text({"worker_id", "Name of the worker in answers, metrics and logs; printable ASCII.",
           Applies::kLive},
          {.max_bytes = limits::kMaxWorkerIdBytes, .required = true}, &spec.worker_id);
  v->Text({"address", "Given to the gateway as it is.", Applies::kLive},
          {.max_bytes = limits::kMaxAddressBytes, .required = true}, &spec.address);
  v->Text({"model", "What it serves.", Applies::kLive},
          {.max_bytes = limits::kMaxModelBytes, .required = true}, &spec.model);
  v->Choice(
      {"engine", "Wire dialect where two engines use the same bytes differently.", Applies::kLive},
      kEngineKindNames, &spec.engine);
  v->Number({"block_size_tokens", "Of the engine's KV cache; 0: learned from its first event.",
             Applies::kLive},
            "tokens", 0, limits::kMaxBlockSizeTokens, &spec.block_size_tokens);
  v->Text({"event_endpoint", "ZeroMQ PUB socket of rank 0; rank r is at port + r.", Applies::kLive},
          {.max_bytes = limits::kMaxEndpointBytes, .required = true}, &spec.event_endpoint);
  v->Text({"replay_endpoint", "ZeroMQ ROUTER socket of rank 0; empty: the engine has none.",
           Applies::kLive},
          {.max_bytes = limits::kMaxEndpointBytes}, &spec.replay_endpoint);
  v->Text({"topic", "Subscription prefix; empty: all.", Applies::kLive},
          {.max_bytes = limits::kMaxTopicBytes}, &spec.topic);
  v->Number({"data_parallel_size", "Ranks, each with its own stream.", Applies::kLive}, "ranks", 1,
            limits::kMaxDataParallelSize, &spec.data_parallel_size);
  VisitFirstRank(v, &spec.first_rank);
  v->ListOf(
      Field{"rank_overrides", "Ranks whose endpoints do not follow the rule, e.g. on other hosts.",
            Applies::kLive},
      limits::kMaxDataParallelSize, &spec.rank_overrides, [v](RankEndpoints* rank) {
        v->Number({"rank", "Which.", Applies::kLive}, "", 0, limits::kMaxDataParallelSize - 1,
                  &rank->rank);
        v->Text({"event_endpoint", "Its PUB socket; empty: at port + rank, replay too.",
                 Applies::kLive},
                {.max_bytes = limits::kMaxEndpointBytes}, &rank->event_endpoint);
        v->Text({"replay_endpoint", "Its ROUTER socket; empty: none.", Applies::kLive},
                {.max_bytes = limits::kMaxEndpointBytes}, &rank->replay_endpoint);
        v->Text({"address", "For the gateway; empty: the worker's.", Applies::kLive},
                {.max_bytes = limits::kMaxAddressBytes}, &rank->address);
      });
  VisitCopies(v, &spec.copies);
  v->Bool({"bigram", "EAGLE: blocks are hashed with the token behind them; false: learned.",
           Applies::kLive},
          &spec.bigram);
  v->Number(
      {"max_requests_in_flight",
       "Of each rank, beyond which it is chosen only when all others are beyond theirs; 0: no "
       "limit.",
       Applies::kLive},
      "requests", 0, 1'000'000, &spec.max_requests_in_flight);
  v->Choice({"role",
             "decode: takes requests; prefill: computes prompts for others (picker.prefill), and "
             "gets no requests; both.",
             Applies::kLive},
            kWorkerRoleNames, &spec.role);
  VisitLabels(v, &spec.labels);
  VisitNames(v,
             {"served_names", "What requests may call its model beside `model`.", Applies::kLive},
             limits::kMaxServedNames, &spec.served_names);
  VisitNames(v, {"adapters", "LoRA adapters that requests may ask for by name.", Applies::kLive},
             limits::kMaxAdapters, &spec.adapters);
  v->Bool({"draining", "Keeps its leases and gets no new requests.", Applies::kLive},
          &worker->draining);
  v->Group({"curve", ""}, [&] {
    v->Text({"server_public_key_file", "ZeroMQ CURVE, Z85 text; all three files or none.",
             Applies::kLive},
            {}, &worker->curve.server_public_key_file);
    v->Text({"client_public_key_file", "kvroute's own key for this engine.", Applies::kLive}, {},
            &worker->curve.client_public_key_file);
    v->Text({"client_secret_key_file", "Its secret half.", Applies::kLive}, {},
            &worker->curve.client_secret_key_file);
  });
  v->Check([&spec] { return ValidateWorker(spec, WorkerSource::kConfig); });
}

}  // namespace kvroute
