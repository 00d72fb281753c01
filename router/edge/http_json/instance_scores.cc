#include "router/edge/http_json/instance_scores.h"

#include <algorithm>
#include <set>
#include <utility>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "router/edge/http_json/instances.h"

namespace kvroute {
namespace {

using HashForm = std::pair<uint32_t, uint32_t>;  // block size and tokens behind a block

// How the model's instances hash; a client that sends hashes knows only one of them to be its own.
std::set<HashForm> FormsOf(const FleetSnapshot& fleet, const ModelTargets& model) {
  std::set<HashForm> forms;
  for (uint32_t i = model.begin; i < model.end; ++i) {
    const TargetFacts& facts = fleet.facts[i];
    if (facts.block_size_tokens() == 0) continue;
    forms.emplace(facts.block_size_tokens(), facts.lookahead_tokens());
    if (forms.size() == limits::kMaxHashProfiles) break;
  }
  return forms;
}

void Add(const Match& match, InstanceScore* score, uint32_t rank) {
  const uint64_t gpu = match.tokens_in(Tier::kGpu);
  const uint64_t cpu = gpu + match.tokens_in(Tier::kCpu);
  const uint64_t all = match.tokens();
  if (gpu > 0) score->gpu_by_rank[rank] = std::max(score->gpu_by_rank[rank], gpu);
  score->gpu = std::max(score->gpu, gpu);
  score->cpu = std::max(score->cpu, cpu);
  if (all >= score->disk) {
    score->disk = all;
    score->cpu_alone = cpu - gpu;
    score->disk_alone = all - cpu;
  }
}

void AddAll(const Scores& scores, const ScoreAsk& ask,
            std::map<std::string, InstanceScore>* instances) {
  for (const Match& match : scores.matches) {
    if (match.blocks == 0) continue;
    if (ask.block_size_tokens != 0 && match.block_size_tokens != ask.block_size_tokens) continue;
    const auto target = scores.fleet->FindTarget(match.worker_id, match.rank);
    if (!target) continue;
    const InstanceRank it = InstanceOf(scores.fleet->targets[*target]);
    if (ask.instance && it.instance != *ask.instance) continue;
    Add(match, &(*instances)[it.instance], it.rank);
  }
}

}  // namespace

absl::StatusOr<std::map<std::string, InstanceScore>> ScoreInstances(const ScoreAsk& ask,
                                                                    const Fleet& fleet,
                                                                    Router* router) {
  for (const std::string* name :
       {&ask.model, &ask.group}) {  // before it is told that there is none
    if (name->size() <= limits::kMaxModelBytes) continue;
    return InvalidArgument("model: {} bytes; the limit is {}", name->size(),
                           limits::kMaxModelBytes);
  }
  const std::string model = ModelOfGroup(ask.model, ask.group);
  const std::shared_ptr<const FleetSnapshot> snapshot = fleet.Snapshot();
  const ModelTargets* const targets = snapshot->FindModel(model);
  if (targets == nullptr || ask.model.empty()) {
    return Error(absl::StatusCode::kNotFound, "no indexer for model={} routing_group={}", ask.model,
                 ask.group);
  }
  Query query;
  query.model = model;
  query.prompt_namespace = {.lora_name = ask.lora_name, .cache_salt = ask.cache_salt};
  query.only_matching = true;
  std::map<std::string, InstanceScore> instances;
  Scores scores;
  if (!ask.local_hashes.has_value()) {
    if (ask.token_ids.empty()) return instances;
    query.prompt.token_ids = ask.token_ids;
    KVROUTE_RETURN_IF_ERROR(router->Score(query, &scores));
    AddAll(scores, ask, &instances);
    return instances;
  }
  if (ask.local_hashes->empty()) return instances;
  for (const auto& [block_size, lookahead] : FormsOf(*snapshot, *targets)) {
    query.prompt.block_hashes = BlockHashesView{.kind = BlockHashKind::kLocal,
                                                .hashes = *ask.local_hashes,
                                                .block_size_tokens = block_size,
                                                .lookahead_tokens = lookahead};
    KVROUTE_RETURN_IF_ERROR(router->Score(query, &scores));
    AddAll(scores, ask, &instances);
  }
  return instances;
}

}  // namespace kvroute
