// RoutingDecision: what the walk of a query costs, without any edge, and whether it is right.
// route_grpc_benchmark.cc has the same decision behind kvroute's server.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "test/benchmark/support/route_fleet.h"
#include "test/benchmark/support/sampler.h"
#include "test/support/reference_index.h"

namespace kvroute {
namespace {

constexpr size_t kPrompts = 16;

// Prompts of the fleet's conversation that leave it at different places (one in four at once), and
// what the reference model says of each.
class Conversation {
 public:
  Conversation(const RouteFleet& fleet, size_t workers) {
    ReferenceIndex model;
    for (size_t i = 0; i < workers; ++i) StoreInModel(fleet.Held(i), i, &model);
    const size_t blocks = fleet.prompt.size() / RouteFleet::kBlockSizeTokens;
    for (size_t i = 0; i < kPrompts; ++i) {
      const size_t shared_blocks = i % 4 == 0 ? 0 : blocks * i / (kPrompts - 1);
      std::vector<TokenId> prompt = fleet.prompt;
      for (size_t at = shared_blocks * RouteFleet::kBlockSizeTokens; at < prompt.size(); ++at) {
        prompt[at] += static_cast<TokenId>(1'000'000 * (i + 1));
      }
      std::vector<PrefixHash> prefixes;
      HashPrompt(prompt, RouteFleet::kBlockSizeTokens, MakeNamespaceSeed("", ""), &prefixes);
      MatchResult matches;
      model.Match(prefixes, &matches);
      held_blocks_.emplace_back(workers);
      for (const StreamMatch& match : matches.matches) {
        held_blocks_.back()[match.stream.value()] = match.blocks;
      }
      prompts_.push_back(std::move(prompt));
    }
  }

  Query query(size_t i) const { return QueryFor(prompts_[i % kPrompts]); }

  // Of a fleet without load, lmetric's choice: none that the model says holds more; and what the
  // answer says of it is what the model says.
  bool Correct(size_t i, const Decision& decision) const {
    const std::vector<uint32_t>& held = held_blocks_[i % kPrompts];
    const std::string chosen(decision.chosen.worker_id);
    const uint32_t most = *std::max_element(held.begin(), held.end());
    return decision.chosen.blocks == most &&
           held[std::stoul(chosen.substr(chosen.find('-') + 1))] == most;
  }

 private:
  // The model's streams are the workers' numbers.
  static void StoreInModel(const std::vector<TokenId>& tokens, size_t worker,
                           ReferenceIndex* model) {
    const StreamId stream(static_cast<uint32_t>(worker));
    model->Open(stream, CopyMode::kCounted);
    std::vector<LocalHash> locals;
    std::vector<EngineHash> engine;
    for (size_t at = 0; at + RouteFleet::kBlockSizeTokens <= tokens.size();
         at += RouteFleet::kBlockSizeTokens) {
      locals.push_back(
          HashBlock(absl::MakeConstSpan(tokens).subspan(at, RouteFleet::kBlockSizeTokens),
                    MakeNamespaceSeed("", "")));
      engine.push_back(EngineHash(at + 1));
    }
    if (!locals.empty()) model->Store(stream, {std::nullopt, engine, locals, Tier::kGpu});
  }

  std::vector<std::vector<TokenId>> prompts_;
  std::vector<std::vector<uint32_t>> held_blocks_;  // by prompt and worker
};

// As a gateway does: a route, timed, and its end.
void RoutingDecision(benchmark::State& state) {
  const auto workers = static_cast<size_t>(state.range(1));
  RouteFleet fleet(static_cast<size_t>(state.range(0)), workers);
  const Conversation conversation(fleet, workers);
  Decision decision;
  Sampler sampler;
  size_t asked = 0, correct = 0;
  uint64_t tokens = 0, matched_tokens = 0;
  for (auto _ : state) {
    const Query query = conversation.query(asked);
    absl::Status status;
    sampler.Time([&] { status = fleet.router_.Route(query, &decision); });
    KVROUTE_CHECK(status.ok() && fleet.loads_.End(decision.request_id));
    correct += conversation.Correct(asked++, decision) ? 1 : 0;
    tokens += decision.total_tokens;
    matched_tokens += decision.chosen.tokens();
  }
  const LatencyHistogram::Snapshot lookup = fleet.stats_.match_latency.Read();
  sampler.Report(&state);
  state.counters["lookup_mean_ns"] =
      static_cast<double>(lookup.sum.count()) / static_cast<double>(lookup.count);
  state.counters["hit_rate"] = static_cast<double>(matched_tokens) / static_cast<double>(tokens);
  state.counters["correct_share"] = static_cast<double>(correct) / static_cast<double>(asked);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(RoutingDecision)
    ->ArgNames({"tokens", "workers"})
    ->Args({1'024, 16})
    ->Args({1'024, 64})
    ->Args({1'024, 128})
    ->Args({1'024, 512})
    ->Args({8'192, 64});
BENCHMARK(MeasureFloor)->Name("RoutingDecisionFloor");

enum class Form { kTokens, kImage, kLocalHashes, kPrefixHashes };

// A prompt that nobody holds, and a query that views it.
struct UnheldQuery {
  UnheldQuery(Form form, size_t blocks) {
    if (form == Form::kTokens || form == Form::kImage) {
      tokens = Tokens(blocks * RouteFleet::kBlockSizeTokens, 1'000'000);
      image = {"an image", 0, static_cast<uint32_t>(tokens.size())};
      query = QueryFor(tokens);
      if (form == Form::kImage) query.prompt.multimodal = absl::MakeConstSpan(&image, 1);
      return;
    }
    for (size_t i = 0; i < blocks; ++i) hashes.push_back(1'000'000 + i);
    query = QueryFor({});
    query.prompt.block_hashes = {
        form == Form::kLocalHashes ? BlockHashKind::kLocal : BlockHashKind::kPrefix, hashes,
        RouteFleet::kBlockSizeTokens, 0};
  }
  UnheldQuery(const UnheldQuery&) = delete;
  UnheldQuery& operator=(const UnheldQuery&) = delete;

  std::vector<TokenId> tokens;
  std::vector<uint64_t> hashes;
  MultimodalInput image;
  Query query;
};

// A decision on such a prompt, in each form that a prompt can have.
void UnheldPrompt(benchmark::State& state, Form form) {
  RouteFleet fleet(1'024, 64);
  const UnheldQuery unheld(form, static_cast<size_t>(state.range(0)));
  Decision decision;
  Sampler sampler;
  for (auto _ : state) {
    absl::Status status;
    sampler.Time([&] { status = fleet.router_.Route(unheld.query, &decision); });
    KVROUTE_CHECK(status.ok() && fleet.loads_.End(decision.request_id));
  }
  KVROUTE_CHECK(decision.chosen.blocks == 0);
  sampler.Report(&state);
}
void Lengths(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("blocks")->Arg(64)->Arg(16'384);
}
BENCHMARK_CAPTURE(UnheldPrompt, tokens, Form::kTokens)->Apply(Lengths);
BENCHMARK_CAPTURE(UnheldPrompt, image, Form::kImage)->Apply(Lengths);
BENCHMARK_CAPTURE(UnheldPrompt, local_hashes, Form::kLocalHashes)->Apply(Lengths);
BENCHMARK_CAPTURE(UnheldPrompt, prefix_hashes, Form::kPrefixHashes)->Apply(Lengths);

}  // namespace
}  // namespace kvroute
