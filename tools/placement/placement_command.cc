#include "tools/placement/placement_command.h"

#include <malloc.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tools/command_line/command_line.h"
#include "tools/fleet/engine_flags.h"
#include "tools/placement/placement_report.h"
#include "tools/placement/placement_run.h"
#include "tools/workload/generator.h"

namespace kvroute {
namespace {

constexpr int kBadUsage = 2;

// The command line as given.
struct Arguments {
  std::string trace;
  std::string generated = "chat";
  size_t requests = 0;
  double from_s = 0, for_s = 0;
  WorkloadCut cut;
  uint32_t workers = 16;
  EngineFlags engine;
  std::string profile = "qwen3-0.6b-a30";
  std::vector<std::string> policies = {"all"};
  std::vector<std::string> loads = {"0.7"};
  std::string driving = "open";
  double lag_ms = 0;
  uint64_t seed = 1;
  bool only_ladder = false;
  std::string json;
  PlacementRunOptions run;
};

void AddWorkloadOptions(Command* command, Arguments* arguments) {
  command->AddOption("--trace", &arguments->trace,
                     "Mooncake-format trace; without it a workload is generated");
  command->AddOption("--generated", &arguments->generated, "The workload that is generated")
      .OneOf({"chat", "agent", "coder"})
      .ShowDefault();
  command->AddOption("--requests", &arguments->requests,
                     "Only so many of the first requests; 0: all (generated: 4000)");
  command->AddOption("--from-s", &arguments->from_s, "Begin the workload at this second of it")
      .Between(0.0, 1e9)
      .ShowDefault();
  command->AddOption("--for-s", &arguments->for_s, "Take only so many seconds of it; 0: all")
      .Between(0.0, 1e9)
      .ShowDefault();
  command
      ->AddOption("--max-input", &arguments->cut.max_prompt_tokens,
                  "Longer prompts end at so many tokens")
      .Between(1u, UINT32_MAX);
  command
      ->AddOption("--max-output", &arguments->cut.max_output_tokens,
                  "Longer outputs end at so many tokens")
      .Between(1u, UINT32_MAX);
  command->AddOption("--seed", &arguments->seed, "Of the generated workload and of ties")
      .Between(1u, UINT32_MAX)
      .ShowDefault();
}

void AddFleetOptions(Command* command, Arguments* arguments) {
  command->AddOption("--workers", &arguments->workers, "Engines").Between(1u, 4'096u).ShowDefault();
  arguments->engine.AddPoolTo(command);
  command
      ->AddOption("--profile", &arguments->profile,
                  "How long steps take: a model on a hardware. See docs/placement.md")
      .Check([](const std::string& name) {
        return FindProfile(name) != nullptr ? "" : absl::StrCat("is none of ", ProfileNames());
      })
      .ShowDefault();
  command
      ->AddOption("--lag-ms", &arguments->lag_ms, "How long what pools announce takes to policies")
      .Between(0.0, 1e6)
      .ShowDefault();
}

void AddOptions(Command* command, Arguments* arguments) {
  AddWorkloadOptions(command, arguments);
  AddFleetOptions(command, arguments);
  command
      ->AddOption("--policies", &arguments->policies,
                  "Policies, or all. kvroute is what is served: index, router and leases; the "
                  "others decide on the pools themselves")
      .SplitAt(',')
      .ShowDefault();
  command->AddOption("--load", &arguments->loads, "Of the capacity, one run each")
      .SplitAt(',')
      .ShowDefault();
  command
      ->AddOption("--capacity-rps", &arguments->run.capacity_rps,
                  "Requests a second that are load 1; 0: measured, all requests at once to the "
                  "least loaded")
      .Between(0.0, 1e9)
      .ShowDefault();
  command
      ->AddOption("--driving", &arguments->driving,
                  "open: requests come when the workload says; think: a turn comes when the one "
                  "before has ended and its user has thought")
      .OneOf({"open", "think"})
      .ShowDefault();
  command
      ->AddOption("--repetitions", &arguments->run.repetitions,
                  "Of each run, with ties broken differently: the noise")
      .Between(1u, 100u)
      .ShowDefault();
  FigureOptions* figures = &arguments->run.figures;
  command
      ->AddOption("--warm-up", &figures->warm_up_share,
                  "Share of the requests, the first ones, of which no time is measured")
      .Between(0.0, 0.99)
      .ShowDefault();
  command->AddOption("--ttft-objective-ms", &figures->ttft_objective_ms, "Of a good request")
      .Between(0.0, 1e9)
      .ShowDefault();
  command->AddOption("--tpot-objective-ms", &figures->tpot_objective_ms, "Of a good request")
      .Between(0.0, 1e9)
      .ShowDefault();
  command->AddFlag("--only-ladder", &arguments->only_ladder,
                   "Only what no placement can exceed: hits of an infinite cache and of one pool");
  command->AddOption("--json", &arguments->json,
                     "File to write the report to; -: standard output, instead of the table");
}

absl::Status InterpretPolicies(const Arguments& arguments, PlacementRunOptions* run) {
  if (arguments.only_ladder) return absl::OkStatus();
  for (const std::string& name : arguments.policies) {
    if (name == "all") {
      for (const PolicyEntry& entry : PlacementPolicies()) run->policies.push_back(&entry);
      continue;
    }
    const PolicyEntry* entry = FindPlacementPolicy(name);
    if (entry == nullptr) {
      std::string names = "all";
      for (const PolicyEntry& known : PlacementPolicies())
        absl::StrAppend(&names, ", ", known.name);
      return absl::InvalidArgumentError(
          absl::StrCat("policies: \"", name, "\" is not one of ", names));
    }
    run->policies.push_back(entry);
  }
  return absl::OkStatus();
}

absl::Status Interpret(const Arguments& arguments, PlacementRunOptions* run) {
  if (absl::Status status = InterpretPolicies(arguments, run); !status.ok()) return status;
  run->loads.clear();
  for (const std::string& text : arguments.loads) {
    double load = 0;
    if (!absl::SimpleAtod(text, &load) || !(load > 0 && load <= 100)) {
      return absl::InvalidArgumentError(
          absl::StrCat("load: \"", text, "\" is no number above 0 and up to 100"));
    }
    run->loads.push_back(load);
  }
  run->seed = arguments.seed;
  run->driving = arguments.driving == "think" ? Driving::kThink : Driving::kOpen;
  run->fleet.workers = arguments.workers;
  run->fleet.engine = arguments.engine.Options();
  run->fleet.profile = *FindProfile(arguments.profile);
  run->fleet.announcement_lag = Nanos(static_cast<int64_t>(arguments.lag_ms * 1e6));
  return absl::OkStatus();
}

// The requests of the window that was asked for.
absl::StatusOr<std::vector<TraceRequest>> LoadTrace(const Arguments& arguments) {
  std::vector<TraceRequest> trace;
  if (!arguments.trace.empty()) {
    auto read = ReadTrace(arguments.trace, arguments.requests);
    if (!read.ok()) return read.status();
    trace = *std::move(read);
  } else {
    GeneratorOptions generator = *NamedGenerator(arguments.generated);
    generator.seed = arguments.seed;
    if (arguments.requests > 0) generator.requests = static_cast<uint32_t>(arguments.requests);
    trace = GenerateTrace(generator);
  }
  const auto from = static_cast<int64_t>(arguments.from_s * 1e3);
  const int64_t length =
      arguments.for_s > 0 ? static_cast<int64_t>(arguments.for_s * 1e3) : INT64_MAX - from;
  std::erase_if(trace, [&](const TraceRequest& request) {
    return request.timestamp_ms < from || request.timestamp_ms - from >= length;
  });
  if (trace.empty()) return absl::InvalidArgumentError("no requests are left in the window");
  return trace;
}

int Fail(absl::string_view message) {
  std::fprintf(stderr, "kvroute placement: %.*s\n", static_cast<int>(message.size()),
               message.data());
  return kBadUsage;
}

PlacementSubject SubjectOf(const Arguments& arguments, const PlacementRunOptions& run,
                           const PlacementWorkload& workload) {
  return {.workload = arguments.trace.empty() ? absl::StrCat("generated ", arguments.generated,
                                                             ", seed ", arguments.seed)
                                              : arguments.trace,
          .profile = arguments.profile,
          .driving = arguments.driving,
          .requests = workload.requests().size(),
          .workers = arguments.workers,
          .blocks_per_worker = arguments.engine.engine.capacity_blocks,
          .block_size_tokens = workload.block_size_tokens(),
          .repetitions = run.repetitions,
          .lag_ms = arguments.lag_ms,
          .figures = run.figures};
}

int Run(const Arguments& arguments) {
  PlacementRunOptions run = arguments.run;
  if (absl::Status status = Interpret(arguments, &run); !status.ok()) return Fail(status.message());
  const auto trace = LoadTrace(arguments);
  if (!trace.ok()) return Fail(trace.status().message());
  const auto workload =
      PlacementWorkload::Make(*trace, arguments.engine.engine.block_size_tokens, arguments.cut);
  if (!workload.ok()) return Fail(workload.status().message());
  // As in `kvroute fleet`: memory of requests that went is kept for those that come.
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_MMAP_THRESHOLD, INT_MAX);
  const auto result = RunPlacement(run, *workload, [](const std::string& what, double seconds) {
    std::fprintf(stderr, "placement: %s: %.2f s\n", what.c_str(), seconds);
  });
  if (!result.ok()) return Fail(result.status().message());
  const PlacementSubject subject = SubjectOf(arguments, run, *workload);
  if (arguments.json != "-") std::fputs(PlacementTable(subject, *result).c_str(), stdout);
  if (arguments.json.empty()) return 0;
  const absl::Status written = WriteReport(arguments.json, PlacementJson(subject, *result));
  return written.ok() ? 0 : Fail(written.message());
}

}  // namespace

void AddPlacementCommand(CommandLine* command_line) {
  Command command = command_line->AddCommand(
      "placement", "Compare routing policies on simulated engines, in virtual time");
  auto arguments = std::make_shared<Arguments>();
  arguments->engine.engine.capacity_blocks = 16'384;
  arguments->engine.engine.max_batch_requests = 256;
  AddOptions(&command, arguments.get());
  command.SetAction([arguments] { return Run(*arguments); });
}

}  // namespace kvroute
