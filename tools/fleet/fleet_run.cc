#include "tools/fleet/fleet_run.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "indexer/base/named_thread.h"
#include "tools/fleet/kvroute_placer.h"
#include "tools/fleet/local_placer.h"
#include "tools/fleet/simulation.h"

namespace kvroute {
namespace {

// Runs at once, in lock-step. A run that waits for kvroute leaves its core to the others; each
// takes the memory of a fleet's pools and replay buffers, about 200 MB with 16 workers.
constexpr size_t kSideBySide = 4;
// In lock-step: few enough that kvroute works along while the engines are simulated.
constexpr size_t kHoldBatches = 8;

SimulatedRank MakeRank(const SimulatedFleetOptions& options, uint32_t worker, uint32_t rank,
                       std::unique_ptr<StreamPublisher> stream) {
  const WireStyle style = options.styles[worker % options.styles.size()];
  // SGLang's tree knows one copy of a prefix.
  const Announce announce =
      EngineKindOf(style) == EngineKind::kSglang ? Announce::kFirstCopy : Announce::kEveryCopy;
  const std::optional<HashScheme> scheme =
      stream != nullptr ? std::optional(HashSchemeOf(style)) : std::nullopt;
  SimulatedRank made;
  made.worker = worker;
  made.rank = rank;
  made.engine = std::make_unique<Engine>(options.engine, announce, stream.get());
  made.stream = std::move(stream);
  made.hasher = std::make_unique<ChainHasher>(scheme, options.engine.block_size_tokens);
  return made;
}

SimulationOptions MakeSimulationOptions(const SimulatedFleetOptions& options,
                                        const PolicySpec& policy) {
  SimulationOptions simulation;
  simulation.speedup = policy.asks_kvroute && options.paced ? options.speedup : 0;
  simulation.block_size_tokens = options.engine.block_size_tokens;
  simulation.misbehaviours = options.misbehaviours;
  if (options.progress) {
    simulation.progress = [&options, &policy](uint64_t requests_done, Nanos now, Nanos behind) {
      options.progress(policy.name, requests_done, now, behind);
    };
  }
  return simulation;
}

absl::StatusOr<PolicyReport> RunLocally(const SimulatedFleetOptions& options,
                                        const PolicySpec& policy,
                                        absl::Span<const TraceRequest> requests) {
  std::vector<SimulatedRank> ranks;
  for (uint32_t i = 0; i < options.workers * options.ranks; ++i) {
    ranks.push_back(MakeRank(options, i / options.ranks, i % options.ranks, nullptr));
  }
  LocalPlacer placer(policy.kind, ranks.size(), options.engine.block_size_tokens, options.seed,
                     [&ranks](size_t target, absl::Span<const Digest> chain) {
                       return ranks[target].engine->CountResident(chain);
                     });
  return Simulation(MakeSimulationOptions(options, policy), requests, absl::MakeSpan(ranks),
                    &placer)
      .Run();
}

// Runs that ask the same kvroute, even at the same time, differ in their model and their workers'
// ids.
std::string RunName(const PolicySpec& policy) {
  return absl::StrCat("sim-", getpid(), "-", policy.name);
}

// kvroute keeps targets in the order of their ids, which must be ours: ties are drawn by place.
std::string WorkerId(const PolicySpec& policy, uint32_t worker) {
  return absl::StrCat(RunName(policy), "-w", absl::Dec(worker, absl::kZeroPad4));
}

absl::StatusOr<PolicyReport> RunAsking(const SimulatedFleetOptions& options,
                                       const PolicySpec& policy,
                                       absl::Span<const TraceRequest> requests) {
  ZmqContext context;
  std::vector<SimulatedRank> ranks;
  std::vector<RegisteredRank> registered;
  for (uint32_t i = 0; i < options.workers * options.ranks; ++i) {
    const uint32_t worker = i / options.ranks;
    const WireStyle style = options.styles[worker % options.styles.size()];
    auto stream =
        StreamPublisher::Create(&context, style, i % options.ranks,
                                options.engine.block_size_tokens, options.paced ? 1 : kHoldBatches);
    if (!stream.ok()) return stream.status();
    registered.push_back({.worker_id = WorkerId(policy, worker),
                          .rank = i % options.ranks,
                          .style = style,
                          .event_endpoint = (*stream)->sockets().event_endpoint(),
                          .replay_endpoint = (*stream)->sockets().replay_endpoint()});
    ranks.push_back(MakeRank(options, worker, i % options.ranks, *std::move(stream)));
  }
  KvroutePlacer client({.address = options.kvroute,
                        .model = RunName(policy),
                        .policy = std::string(PolicyName(policy.kind)),
                        .block_size_tokens = options.engine.block_size_tokens,
                        .timeout = options.kvroute_timeout,
                        .together = !options.paced},
                       registered);
  const auto await_applied = [&client, &ranks]() -> absl::Status {
    if (absl::Status status = client.TellProgress(); !status.ok()) return status;
    return client.AwaitApplied(
        [&ranks](size_t target) { return ranks[target].stream->sockets().next_seq(); },
        [&ranks] {
          for (const SimulatedRank& rank : ranks) rank.stream->sockets().Serve();
        });
  };
  const auto run = [&]() -> absl::StatusOr<PolicyReport> {
    if (absl::Status status = client.Register(); !status.ok()) return status;
    if (absl::Status status = await_applied(); !status.ok()) return status;
    SimulationOptions simulation = MakeSimulationOptions(options, policy);
    if (!options.paced) simulation.before_placement = await_applied;
    return Simulation(simulation, requests, absl::MakeSpan(ranks), &client).Run();
  };
  absl::StatusOr<PolicyReport> report = run();
  const absl::Status deregistered = client.Deregister();
  if (!report.ok()) return report.status();
  if (!deregistered.ok()) return deregistered;
  const LatencyHistogram::Snapshot latency = client.route_latency().Read();
  report->asks_kvroute = true;
  report->route_p50_us = static_cast<double>(latency.Quantile(0.5).count()) / 1e3;
  report->route_p99_us = static_cast<double>(latency.Quantile(0.99).count()) / 1e3;
  return report;
}

}  // namespace

absl::StatusOr<PolicySpec> ParsePolicySpec(const std::string& name) {
  absl::string_view rest(name);
  const bool oracle = absl::ConsumePrefix(&rest, "oracle:");
  const bool ask = !oracle && absl::ConsumePrefix(&rest, "kvroute:");
  const auto kind = ParsePolicy(std::string_view(rest.data(), rest.size()));
  if (!kind.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("policy \"", name, "\" is not [oracle:|kvroute:]POLICY with POLICY one of ",
                     "work, lmetric, lpwl, prefix, least_loaded, round_robin, random"));
  }
  const bool looks_at_caches = *kind != PolicyKind::kLeastLoaded &&
                               *kind != PolicyKind::kRoundRobin && *kind != PolicyKind::kRandom;
  return PolicySpec{.name = std::string(name),
                    .kind = *kind,
                    .asks_kvroute = ask || (looks_at_caches && !oracle)};
}

absl::Status CheckWorkload(const SimulatedFleetOptions& options,
                           absl::Span<const TraceRequest> requests) {
  const uint32_t size = options.engine.block_size_tokens;
  for (size_t i = 0; i < requests.size(); ++i) {
    const uint64_t tokens = uint64_t{requests[i].input_length} + requests[i].output_length;
    const uint64_t blocks = (tokens + size - 1) / size;
    if (blocks <= options.engine.capacity_blocks) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "blocks-per-worker: ", options.engine.capacity_blocks, " blocks of ", size,
        " tokens cannot hold request ", i, " of ", tokens, " tokens: it takes ", blocks));
  }
  for (const Misbehaviour& misbehaviour : options.misbehaviours) {
    if (misbehaviour.worker < options.workers && misbehaviour.rank < options.ranks) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "misbehave: there is no worker ", misbehaviour.worker, " rank ", misbehaviour.rank,
        " among ", options.workers, " workers of ", options.ranks, " ranks"));
  }
  return absl::OkStatus();
}

absl::StatusOr<PolicyReport> RunPolicy(const SimulatedFleetOptions& options,
                                       const PolicySpec& policy,
                                       absl::Span<const TraceRequest> requests) {
  return policy.asks_kvroute ? RunAsking(options, policy, requests)
                             : RunLocally(options, policy, requests);
}

absl::StatusOr<std::vector<PolicyReport>> RunPolicies(
    const SimulatedFleetOptions& options, absl::Span<const PolicySpec> policies,
    absl::Span<const TraceRequest> requests,
    const std::function<void(const PolicySpec& policy, const PolicyReport& report)>& done) {
  std::vector<absl::StatusOr<PolicyReport>> results(policies.size(), PolicyReport());
  std::atomic<size_t> next{0};
  const auto run_some = [&] {
    for (size_t i = next.fetch_add(1); i < policies.size(); i = next.fetch_add(1)) {
      results[i] = RunPolicy(options, policies[i], requests);
      if (results[i].ok()) done(policies[i], *results[i]);
    }
  };
  {
    std::vector<NamedThread> threads;
    const size_t side_by_side = options.paced ? 1 : std::min(kSideBySide, policies.size());
    for (size_t i = 0; i < side_by_side; ++i) threads.emplace_back("policy-run", run_some);
  }  // all ended
  std::vector<PolicyReport> reports;
  for (size_t i = 0; i < policies.size(); ++i) {
    if (!results[i].ok()) {
      return absl::Status(results[i].status().code(),
                          absl::StrCat(policies[i].name, ": ", results[i].status().message()));
    }
    reports.push_back(*std::move(results[i]));
  }
  return reports;
}

}  // namespace kvroute
