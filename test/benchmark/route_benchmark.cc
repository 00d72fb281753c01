// RoutingDecision: what a decision costs in process, without gRPC, and whether it is right.
// route_grpc_benchmark.cc has the same decision behind kvroute's server.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>
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
      requests_.push_back(RouteRequestFor(prompt));
      std::vector<PrefixHash> prefixes;
      HashPrompt(prompt, RouteFleet::kBlockSizeTokens, MakeNamespaceSeed("", ""), &prefixes);
      MatchResult matches;
      model.Match(prefixes, &matches);
      held_blocks_.emplace_back(workers);
      for (const StreamMatch& match : matches.matches) {
        held_blocks_.back()[match.stream.value()] = match.blocks;
      }
    }
  }

  const v1::RouteRequest& request(size_t i) const { return requests_[i % kPrompts]; }

  // Of a fleet without load, lmetric's choice: none that the model says holds more; and what the
  // answer says of it is what the model says.
  bool Correct(size_t i, const v1::RouteResponse& response) const {
    const std::vector<uint32_t>& held = held_blocks_[i % kPrompts];
    const std::string& chosen = response.chosen().target().worker_id();
    const uint32_t most = *std::max_element(held.begin(), held.end());
    return response.chosen().matched_blocks() == most &&
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

  std::vector<v1::RouteRequest> requests_;
  std::vector<std::vector<uint32_t>> held_blocks_;  // by prompt and worker
};

// As a gateway does: a route, timed, and its end.
void RoutingDecision(benchmark::State& state) {
  const auto workers = static_cast<size_t>(state.range(1));
  RouteFleet fleet(static_cast<size_t>(state.range(0)), workers);
  const Conversation conversation(fleet, workers);
  v1::RouteResponse response;
  Sampler sampler;
  size_t asked = 0, correct = 0;
  uint64_t tokens = 0, matched_tokens = 0;
  for (auto _ : state) {
    response.Clear();
    absl::Status status;
    sampler.Time([&] { status = fleet.queries_.Route(conversation.request(asked), &response); });
    KVROUTE_CHECK(status.ok() && fleet.loads_.End(response.request_id()));
    correct += conversation.Correct(asked++, response) ? 1 : 0;
    tokens += response.total_tokens();
    matched_tokens += response.chosen().matched_tokens();
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

v1::RouteRequest Hashes(v1::BlockHashes::Kind kind, size_t blocks) {
  v1::RouteRequest request;
  request.set_model("m");
  v1::BlockHashes* hashes = request.mutable_prompt()->mutable_block_hashes();
  hashes->set_kind(kind);
  hashes->set_block_size_tokens(RouteFleet::kBlockSizeTokens);
  for (size_t i = 0; i < blocks; ++i) hashes->add_hashes(1'000'000 + i);
  return request;
}

enum class Form { kTokens, kImage, kLocalHashes, kPrefixHashes };

// A decision on a prompt that nobody holds, in each form that a prompt can have.
void UnheldPrompt(benchmark::State& state, Form form) {
  const auto blocks = static_cast<size_t>(state.range(0));
  RouteFleet fleet(1'024, 64);
  v1::RouteRequest request = Hashes(v1::BlockHashes::KIND_LOCAL, blocks);
  if (form == Form::kPrefixHashes) request = Hashes(v1::BlockHashes::KIND_PREFIX, blocks);
  if (form == Form::kTokens || form == Form::kImage) {
    request = RouteRequestFor(Tokens(blocks * RouteFleet::kBlockSizeTokens, 1'000'000));
  }
  if (form == Form::kImage) {
    v1::MultimodalInput* image = request.mutable_prompt()->add_multimodal();
    image->set_identifier("an image");
    image->set_length_tokens(static_cast<uint32_t>(request.prompt().token_ids_size()));
  }
  v1::RouteResponse response;
  Sampler sampler;
  for (auto _ : state) {
    response.Clear();
    absl::Status status;
    sampler.Time([&] { status = fleet.queries_.Route(request, &response); });
    KVROUTE_CHECK(status.ok() && fleet.loads_.End(response.request_id()));
  }
  KVROUTE_CHECK(response.chosen().matched_blocks() == 0);
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
