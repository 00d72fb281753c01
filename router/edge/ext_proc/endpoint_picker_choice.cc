// Beside where a request goes: who computes its prompt, and what the gateways' tests select.
#include <algorithm>
#include <utility>

#include "router/edge/ext_proc/endpoint_picker.h"
#include "router/edge/ext_proc/proxy_message.h"

namespace kvroute {

void EndpointPicker::ChoosePrefiller(const Query& routed, Pick* pick) {
  pick->prefiller.clear();
  pick->prefill_lease.clear();
  pick->prefill.reset();
  if (options_.prefill == PrefillElsewhere::kNever || pick->lease.empty()) return;
  const FleetSnapshot& fleet = *decision_.fleet;
  const ModelTargets* const model = routed.any_model ? &fleet.all : fleet.FindModel(routed.model);
  if (model == nullptr || !model->has_prefillers) return;
  const PrefillChoice choice = FindPrefiller(routed, pick);
  stats_->Count(choice);
  if (choice != PrefillChoice::kElsewhere) return;
  // What remains to be computed is the other's load.
  Tell({pick->lease, Progress::kPrefilled, routed.client});
}

// The lease of the prefiller holds what it has to compute, until the first token is out.
PrefillChoice EndpointPicker::FindPrefiller(const Query& routed, Pick* pick) {
  if (options_.prefill == PrefillElsewhere::kByPrompt &&
      (decision_.total_tokens < options_.prefill_prompt_tokens ||
       decision_.chosen.uncached_tokens < options_.prefill_uncached_tokens)) {
    return PrefillChoice::kShort;
  }
  Query query = routed;
  query.for_prefill = true;
  query.runner_ups = 0;
  query.expected_output_tokens = 0;
  query.text = nullptr;  // it leads to where the request goes on
  if (!router_->Route(query, &prefill_).ok()) return PrefillChoice::kNobody;
  const Match& found = prefill_.chosen;
  const bool itself =
      found.worker_id == decision_.chosen.worker_id && found.rank == decision_.chosen.rank;
  if (itself || prefill_.reason == ChoiceReason::kAllOverloaded) {
    router_->Abandon(prefill_.request_id);
    return itself ? PrefillChoice::kItself : PrefillChoice::kOverloaded;
  }
  pick->prefiller = found.endpoint->Text();
  pick->prefill_lease = prefill_.request_id;
  if (const auto target = prefill_.fleet->FindTarget(found.worker_id, found.rank)) {
    pick->prefill = std::make_shared<EndedLease>(
        EndedLease{prefill_.fleet->targets[*target].load, prefill_.prediction});
  }
  return PrefillChoice::kElsewhere;
}

void EndpointPicker::Select(std::string_view addresses, std::vector<Endpoint>* subset,
                            bool* restricted) {
  if (!options_.conformance_fixture || addresses.empty()) return;
  fleet_->Refresh(&view_);
  std::vector<Endpoint> named, known;
  uint64_t unreadable = 0;
  ReadEndpoints(addresses, &named, &unreadable);
  PickerStats::Add(stats_->unreadable_endpoints, unreadable);
  for (const FleetTarget& target : view_->targets) {
    const std::optional<Endpoint>& at = target.worker->EndpointOf(target.rank);
    const bool is_named = at && std::any_of(named.begin(), named.end(), [&](const Endpoint& each) {
                            return each.ip == at->ip && (each.port == 0 || each == *at);
                          });
    if (is_named) known.push_back(*at);
  }
  if (known.empty()) return;
  *subset = std::move(known);
  *restricted = true;
}

}  // namespace kvroute
