#include "router/edge/ext_proc/endpoint_picker.h"

#include <algorithm>
#include <utility>

#include "indexer/base/error.h"

namespace kvroute {
namespace {

// A guess at what a body is in tokens, of which only the order of magnitude matters: what it adds
// to its target's load.
constexpr size_t kBytesPerToken = 4;

Refusal NoEndpoint(std::string message) {
  return {503, "server_error", "no_ready_endpoint", "rejected-no-endpoints", std::move(message)};
}

// Requests that compute nothing.
bool IsNoLoad(Api api, NoPrompt why) { return api == Api::kCountTokens || why == NoPrompt::kNone; }

// Of what is wrong with a body, what its client can mend.
bool IsBad(Unscored why) {
  switch (why) {
    case Unscored::kNotUtf8:
    case Unscored::kNotJson:
    case Unscored::kRepeatedField:
    case Unscored::kWrongType:
    case Unscored::kNoPrompt:
    case Unscored::kEmpty:
      return true;
    default:
      return false;
  }
}

}  // namespace

EndpointPicker::EndpointPicker(const PickerOptions& options, Router* router, const Fleet* fleet,
                               PickerStats* stats, MemoryBudget* bodies, const Clock* clock,
                               const PublishedRequestRules* rules)
    : options_(options),
      router_(router),
      fleet_(fleet),
      stats_(stats),
      bodies_(bodies),
      clock_(clock),
      rules_(rules),
      fleet_known_(options.fleet_known) {}

std::string EndpointPicker::RewriteOf(std::string_view model) {
  if (rules_ == nullptr || model.empty()) return {};
  const std::shared_ptr<const RequestRules> rules = rules_->Read();
  if (rules == nullptr) return {};
  const std::string_view other = rules->RewriteOf(model, absl::Uniform<uint64_t>(random_));
  return other == model ? std::string() : std::string(other);
}

BodyTerms EndpointPicker::TermsOf(const RequestHeaders& headers, const RequestBody& body,
                                  size_t bytes) {
  PickerStats::Add(
      stats_->bodies[static_cast<size_t>(body.api)][static_cast<size_t>(body.unscored)]);
  PickerStats::Add(stats_->body_bytes, bytes);
  const std::string_view asked = headers.model_rewrite.empty() ? body.model : headers.model_rewrite;
  BodyTerms terms{FindServed(asked, body.lora_name),
                  body.cache_salt,
                  body.max_output_tokens.value_or(0),
                  bytes,
                  body.prompt_count > 1,
                  {}};
  if (body.needs_render()) MakeTextChain(body, &terms.text);
  return terms;
}

// A model that no worker is registered for, and no engine names as its adapter, is taken for an
// adapter of the only one that there is: engines serve adapters by their names. With several models
// nobody can say whose it is.
ServedModel EndpointPicker::FindServed(std::string_view name, const std::string& lora_name) {
  fleet_->Refresh(&view_);
  if (const ModelTargets* model = view_->FindModel(name); model != nullptr) {
    return {true, model->model, lora_name};
  }
  if (const ModelTargets* base = view_->FindAdapter(name); base != nullptr) {
    return {true, base->model, std::string(name)};
  }
  if (view_->models.size() != 1 || name.size() > limits::kMaxNamespaceBytes) return {};
  PickerStats::Add(stats_->adapters);
  if (const uint64_t lines = adapter_log_.Admit(Now())) {
    LogInfo(
        "picker: model \"{}\" is none of the fleet's: taken for an adapter of \"{}\" ({} alike "
        "held back)",
        OneLine(name), view_->models[0].model, lines - 1);
  }
  return {true, view_->models[0].model, std::string(name)};
}

std::optional<Refusal> EndpointPicker::ByPrompt(const PickFor& request, const BodyTerms& terms,
                                                const PromptView& prompt, Pick* pick) {
  Query query;
  query.model = terms.model.model;
  query.prompt = prompt;
  query.prompt_namespace = {terms.model.lora_name, terms.cache_salt};
  query.expected_output_tokens = terms.max_output_tokens;
  query.several_prompts = terms.several_prompts;
  query.text = &terms.text;
  return Route(request, &query, pick);
}

std::optional<Refusal> EndpointPicker::ByLoad(const PickFor& request, const BodyTerms& terms,
                                              NoPrompt why, Pick* pick) {
  Query query;
  query.model = terms.model.model;
  query.any_model = !terms.model.known;
  query.no_prompt = why;
  query.guessed_prompt_tokens = terms.bytes / kBytesPerToken;
  query.text = &terms.text;
  query.expected_output_tokens = terms.max_output_tokens;
  query.no_lease = IsNoLoad(ApiOfPath(request.headers->path_or_default()), why);
  return Route(request, &query, pick);
}

std::optional<Refusal> EndpointPicker::Route(const PickFor& request, Query* query, Pick* pick) {
  const ObjectiveClass objective = ClassOf(request.headers->objective);
  stats_->Count(objective);
  if (request.restricted && request.subset.empty()) {
    stats_->Count(PickOutcome::kEmptySubset);
    return NoEndpoint("the gateway allows no endpoint for this request");
  }
  query->by_endpoint = true;
  query->endpoints = request.subset;
  query->runner_ups = options_.fallback_endpoints;
  if (options_.tell_scores) {
    query->runner_ups = std::max(query->runner_ups, limits::kMaxToldScores - 1);
  }
  query->client = request.client;
  absl::Status status = router_->Route(*query, &decision_);
  if (absl::IsInvalidArgument(status) && query->no_prompt == NoPrompt::kNo) {
    // Beyond a limit of prompts, which is no reason to fail a request.
    query->guessed_prompt_tokens = query->prompt.token_ids.size();
    query->no_prompt = NoPrompt::kRefused;
    status = router_->Route(*query, &decision_);
  }
  if (!status.ok() && NoneFoundYet()) {
    *pick = {};
    stats_->Count(PickOutcome::kNoneFound);
    return std::nullopt;
  }
  if (!status.ok()) {
    stats_->Count(PickOutcome::kNoEndpoint);
    return NoEndpoint(std::string(MessageOf(status)));
  }
  FillPick(pick);
  if (decision_.reason == ChoiceReason::kAllOverloaded) {
    if (std::optional<Refusal> refusal = RefuseOverload(*request.headers, objective)) {
      if (!pick->lease.empty()) router_->Abandon(pick->lease);
      return refusal;
    }
  }
  ChoosePrefiller(*query, pick);
  pick->is_fixture = options_.conformance_fixture;
  stats_->Count(PickOutcome::kPicked);
  return std::nullopt;
}

bool EndpointPicker::NoneFoundYet() {
  if (fleet_known_.load(std::memory_order_relaxed)) return false;
  fleet_->Refresh(&view_);
  return view_->targets.empty();
}

ObjectiveClass EndpointPicker::ClassOf(std::string_view objective) const {
  if (objective.empty()) return ObjectiveClass::kNone;
  const auto& sheddable = options_.sheddable;
  if (std::find(sheddable.begin(), sheddable.end(), objective) != sheddable.end()) {
    return ObjectiveClass::kNegative;
  }
  const auto rules = rules_ == nullptr ? nullptr : rules_->Read();
  const std::optional<int32_t> priority =
      rules == nullptr ? std::nullopt : rules->PriorityOf(objective);
  if (!priority) return ObjectiveClass::kUnknown;
  return *priority < 0    ? ObjectiveClass::kNegative
         : *priority == 0 ? ObjectiveClass::kZero
                          : ObjectiveClass::kPositive;
}

// nullopt: it is routed all the same.
std::optional<Refusal> EndpointPicker::RefuseOverload(const RequestHeaders& headers,
                                                      ObjectiveClass objective) {
  PickOutcome why = PickOutcome::kPicked;
  if (headers.prefers_refusal) {
    why = PickOutcome::kNotNow;
  } else if (objective == ObjectiveClass::kNegative) {
    why = PickOutcome::kShed;
  } else if (options_.overloaded == WhenOverloaded::kRefuse &&
             objective != ObjectiveClass::kPositive) {
    why = PickOutcome::kOverloaded;
  }
  if (why == PickOutcome::kPicked) return std::nullopt;
  stats_->Count(why);
  return Refusal{why == PickOutcome::kNotNow ? 412 : 429, "rate_limit_error", "overloaded",
                 "rejected-saturated",
                 "all workers that can serve this request are at their limits"};
}

void EndpointPicker::FillPick(Pick* pick) const {
  const Match& chosen = decision_.chosen;
  pick->lease = decision_.request_id;
  pick->endpoints = chosen.endpoint->Text();
  pick->rank.reset();
  // Ranks that have endpoints of their own need no telling apart.
  const std::optional<uint32_t> other =
      decision_.fleet->FindTarget(chosen.worker_id, chosen.rank == 0 ? 1 : 0);
  if (chosen.ranks > 1 && other) {
    const FleetTarget& target = decision_.fleet->targets[*other];
    if (target.worker->EndpointOf(target.rank) == chosen.endpoint) pick->rank = chosen.rank;
  }
  // Ranks behind one endpoint are one to a proxy.
  std::vector<Endpoint> told = {*chosen.endpoint};
  pick->scores.clear();
  if (options_.tell_scores) FillScores(pick);
  for (const Match& next : decision_.runner_ups) {
    if (told.size() > options_.fallback_endpoints) break;
    if (std::find(told.begin(), told.end(), *next.endpoint) != told.end()) continue;
    told.push_back(*next.endpoint);
    pick->endpoints += ',';
    pick->endpoints += next.endpoint->Text();
  }
}

// Of ranks behind one endpoint, the best's.
void EndpointPicker::FillScores(Pick* pick) const {
  const auto add = [&](const Match& match) {
    std::string endpoint = match.endpoint->Text();
    for (const auto& [told, score] : pick->scores) {
      if (told == endpoint) return;
    }
    const auto all = static_cast<double>(std::max<uint64_t>(decision_.total_tokens, 1));
    const double share = std::min(static_cast<double>(match.tokens()) / all, 1.0);
    pick->scores.emplace_back(std::move(endpoint), share);
  };
  add(decision_.chosen);
  for (const Match& next : decision_.runner_ups) add(next);
}

std::optional<Refusal> EndpointPicker::RefuseBody(const RequestBody& body) {
  // What another API takes (a sound, a form) is not ours to judge.
  const bool known = body.api != Api::kOther;
  if (options_.bad_body != BadBody::kReject || !known || !IsBad(body.unscored)) return std::nullopt;
  stats_->Count(PickOutcome::kBadBody);
  return Refusal{400, "invalid_request_error", "invalid_body", "", body.detail};
}

// With its first token the prompt is computed, whoever did it.
void EndpointPicker::Prefilled(const Pick& pick, const ClientId& client) {
  Tell({pick.lease, Progress::kPrefilled, client});
  Tell({pick.prefill_lease, Progress::kEnded, client});
}

// What was cached, a prefiller had.
void EndpointPicker::Ended(const Pick& pick, const ClientId& client, const AnswerUsage& answer) {
  AnswerUsage own = answer;
  own.prefilled_by = pick.prefill;
  Tell({pick.lease, Progress::kEnded, client, own});
  Tell({pick.prefill_lease, Progress::kEnded, client});
}

void EndpointPicker::Tell(const Outcome& outcome) {
  if (outcome.request_id.empty()) return;
  // False: it has expired, or given way to others, or ended.
  (void)router_->Complete(outcome);
}

void EndpointPicker::ServedBy(const Pick& pick, std::string_view endpoint, const ClientId& client) {
  PickerStats::Add(stats_->served_elsewhere);
  const std::optional<Endpoint> served = ParseEndpoint(endpoint);
  if (!served || pick.lease.empty()) return;
  router_->Moved(pick.lease, *served, client);
}

}  // namespace kvroute
