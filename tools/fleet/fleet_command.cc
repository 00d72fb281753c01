#include "tools/fleet/fleet_command.h"

#include <malloc.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tools/client/api_client.h"
#include "tools/client/server_flags.h"
#include "tools/command_line/command_line.h"
#include "tools/fleet/engine_flags.h"
#include "tools/fleet/fleet_run.h"
#include "tools/workload/generator.h"

namespace kvroute {
namespace {

constexpr int kBrokenPromise = 1;
constexpr int kBadUsage = 2;

// The command line as given.
struct Arguments {
  SimulatedFleetOptions fleet;
  std::string trace;
  size_t requests = 0;
  std::vector<std::string> policies = {"work",          "oracle:work",  "lmetric",     "prefix",
                                       "oracle:prefix", "least_loaded", "round_robin", "random"};
  std::vector<std::string> styles = {"vllm_map"};
  std::vector<std::string> misbehaviours;
  std::string json;
  EngineFlags engine;
  Verdict verdict;
};

void AddOptions(Command* command, Arguments* arguments) {
  SimulatedFleetOptions* fleet = &arguments->fleet;
  command->AddOption("--server,--kvroute", &fleet->kvroute,
                     "gRPC address of a running `kvroute serve`: HOST:PORT, a URL or unix:/PATH");
  command->AddOption("--trace", &arguments->trace,
                     "Mooncake-format trace; without it a workload is generated");
  command->AddOption("--requests", &arguments->requests,
                     "Only so many of the first requests; 0: all (generated: 4000)");
  command->AddOption("--workers", &fleet->workers, "Engines").Between(1u, 4'096u).ShowDefault();
  command->AddOption("--ranks", &fleet->ranks, "Data-parallel ranks of each engine")
      .Between(1u, 64u)
      .ShowDefault();
  command
      ->AddOption("--policies", &arguments->policies,
                  "work, lmetric, lpwl, prefix: asked of kvroute; round_robin, random, "
                  "least_loaded: decided here; "
                  "oracle:POLICY: decided here on the true pools; kvroute:POLICY: asked of kvroute")
      .SplitAt(',')
      .ShowDefault();
  command
      ->AddOption("--style", &arguments->styles,
                  "Wire styles, given to the workers in turn: vllm_positional, vllm_map, "
                  "vllm_bytes, sglang_map")
      .SplitAt(',')
      .ShowDefault();
  arguments->engine.AddTo(command);
  command->AddFlag("--paced", &fleet->paced,
                   "Keep pace with the wall clock and show what lag does, instead of running in "
                   "lock-step with kvroute, where every decision must be the oracle's");
  command
      ->AddOption("--speedup", &fleet->speedup,
                  "Of a paced run: virtual seconds a real second; 0: as fast as it goes")
      .Between(0.0, 1e6)
      .ShowDefault();
  command
      ->AddOption("--seed", &fleet->seed,
                  "Of the generated workload and of ties; in lock-step kvroute must serve with "
                  "--set routing.tie_break_seed=SEED")
      .Between(1u, UINT32_MAX)
      .ShowDefault();
  command
      ->AddOption(
          "--misbehave", &arguments->misbehaviours,
          "KIND:wWORKER[.RANK]@SECONDSs[:AMOUNT], e.g. drop:w3@120s:5; see docs/simulator.md. "
          "Such a run is paced")
      .SplitAt(',');
  command
      ->AddOption("--min-checked", &arguments->verdict.min_checked_share,
                  "With --misbehave: least share of predictions made on exact and settled streams")
      .Between(0.0, 1.0)
      .ShowDefault();
  command
      ->AddOption("--max-oracle-gap", &arguments->verdict.max_oracle_gap_points,
                  "With --misbehave: most percentage points between a hit rate and its oracle's")
      .Between(0.0, 100.0)
      .ShowDefault();
  command->AddOption("--json", &arguments->json,
                     "File to write the report to; -: standard output, instead of the table");
}

absl::Status Interpret(Arguments* arguments, std::vector<PolicySpec>* policies) {
  SimulatedFleetOptions* fleet = &arguments->fleet;
  fleet->engine = arguments->engine.Options();
  fleet->styles.clear();
  for (const std::string& name : arguments->styles) {
    const auto style = ParseWireStyle(name);
    if (!style.has_value()) {
      return absl::InvalidArgumentError(absl::StrCat("style: \"", name,
                                                     "\" is not one of vllm_positional, vllm_map, ",
                                                     "vllm_bytes, sglang_map"));
    }
    fleet->styles.push_back(*style);
  }
  for (const std::string& text : arguments->misbehaviours) {
    const auto misbehaviour = ParseMisbehaviour(text);
    if (!misbehaviour.ok()) return misbehaviour.status();
    fleet->misbehaviours.push_back(*misbehaviour);
    fleet->paced = true;  // kvroute repairs what went wrong by its own clock
  }
  if (!fleet->kvroute.empty()) {
    const auto server = ParseServerAddress("--server", fleet->kvroute, ServerFlags::kGrpcPort);
    if (!server.ok()) return server.status();
    fleet->kvroute = server->Text();
  }
  for (const std::string& name : arguments->policies) {
    const auto policy = ParsePolicySpec(name);
    if (!policy.ok()) return policy.status();
    if (policy->asks_kvroute && fleet->kvroute.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("policy ", name, " asks kvroute, whose address (--server) is not given"));
    }
    policies->push_back(*policy);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<TraceRequest>> LoadWorkload(const Arguments& arguments) {
  if (!arguments.trace.empty()) return ReadTrace(arguments.trace, arguments.requests);
  GeneratorOptions generator;
  generator.seed = arguments.fleet.seed;
  if (arguments.requests > 0) generator.requests = static_cast<uint32_t>(arguments.requests);
  return GenerateTrace(generator);
}

void ShowProgress(const std::string& policy, uint64_t requests_done, size_t requests, Nanos now,
                  Nanos behind) {
  std::fprintf(stderr, "fleet: %-16s %6llu of %zu requests, virtual %6.0f s, behind %.1f s\n",
               policy.c_str(), static_cast<unsigned long long>(requests_done), requests,
               std::chrono::duration<double>(now).count(),
               std::chrono::duration<double>(behind).count());
}

void ShowEnd(const PolicySpec& policy, const PolicyReport& report) {
  std::fprintf(stderr, "fleet: %-16s done: %.0f virtual s in %.1f s, at most %.0f ms behind\n",
               policy.name.c_str(), report.virtual_seconds, report.wall_seconds,
               report.max_behind_ms);
}

FleetReport DescribeRun(const Arguments& arguments) {
  FleetReport report;
  report.trace = arguments.trace.empty() ? absl::StrCat("generated, seed ", arguments.fleet.seed)
                                         : arguments.trace;
  report.workers = arguments.fleet.workers;
  report.ranks = arguments.fleet.ranks;
  report.seed = arguments.fleet.seed;
  if (!arguments.fleet.misbehaviours.empty()) {
    report.judged = Judged::kByBounds;
  } else if (arguments.fleet.paced) {
    report.judged = Judged::kNothingElse;
  }
  return report;
}

// Standard output, or the file that was asked for.
absl::Status ShowReport(const FleetReport& report, const std::string& json) {
  if (json == "-") return WriteReport(json, ToJson(report));
  std::fputs(ToTable(report).c_str(), stdout);
  std::fputs(ToTimes(report).c_str(), stdout);
  if (report.judged != Judged::kEveryDecision) std::fputs(ToLag(report).c_str(), stdout);
  return json.empty() ? absl::OkStatus() : WriteReport(json, ToJson(report));
}

int Fail(int exit_code, absl::string_view message) {
  std::fprintf(stderr, "kvroute fleet: %.*s\n", static_cast<int>(message.size()), message.data());
  return exit_code;
}

int Run(Arguments arguments) {
  std::vector<PolicySpec> policies;
  if (absl::Status status = Interpret(&arguments, &policies); !status.ok())
    return Fail(kBadUsage, status.message());
  const auto requests = LoadWorkload(arguments);
  if (!requests.ok()) return Fail(kBadUsage, requests.status().message());
  if (absl::Status status = CheckWorkload(arguments.fleet, *requests); !status.ok()) {
    return Fail(kBadUsage, status.message());
  }
  const bool asks = std::any_of(policies.begin(), policies.end(),
                                [](const PolicySpec& policy) { return policy.asks_kvroute; });
  if (asks) {
    absl::Status status = ApiClient(arguments.fleet.kvroute).Connect();
    if (!status.ok()) return Fail(kBrokenPromise, status.message());
  }
  arguments.fleet.progress = [&requests](const std::string& policy, uint64_t done, Nanos now,
                                         Nanos behind) {
    ShowProgress(policy, done, requests->size(), now, behind);
  };

  // Requests come and go by the second, each with some 100 KB of tokens and hashes: their memory is
  // kept, or a tenth of the run goes into giving it back and getting it zeroed again.
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_MMAP_THRESHOLD, INT_MAX);
  const auto start = std::chrono::steady_clock::now();
  auto results = RunPolicies(arguments.fleet, policies, *requests, ShowEnd);
  if (!results.ok()) return Fail(kBrokenPromise, results.status().message());
  std::fprintf(stderr, "fleet: all done in %.1f s\n",
               std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  FleetReport report = DescribeRun(arguments);
  for (size_t i = 0; i < policies.size(); ++i) {
    report.policies.emplace_back(policies[i].name, std::move((*results)[i]));
  }
  if (absl::Status status = ShowReport(report, arguments.json); !status.ok())
    return Fail(kBrokenPromise, status.message());
  const std::vector<std::string> broken = BrokenPromises(report, arguments.verdict);
  for (const std::string& line : broken) Fail(kBrokenPromise, line);
  return broken.empty() ? 0 : kBrokenPromise;
}

}  // namespace

void AddFleetCommand(CommandLine* command_line) {
  Command command = command_line->AddCommand(
      "fleet", "Run simulated engines on a trace and compare routing policies");
  auto arguments = std::make_shared<Arguments>();
  AddOptions(&command, arguments.get());
  command.SetAction([arguments] { return Run(*arguments); });
}

}  // namespace kvroute
