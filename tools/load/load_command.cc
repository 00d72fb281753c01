#include "tools/load/load_command.h"

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "tools/client/server_flags.h"
#include "tools/command_line/command_line.h"
#include "tools/load/load_run.h"

namespace kvroute {
namespace {

constexpr int kUnusable = 2;

struct LoadFlags {
  LoadRunOptions run;
  LoadLimits limits;
  std::string style = "vllm_map";
  std::string http = "127.0.0.1:9108";
  std::string json_path;
  double seconds = 60;
  double warm_up_seconds = 0;
};

int Fail(const absl::Status& why) {
  std::fprintf(stderr, "kvroute load: %s\n", std::string(why.message()).c_str());
  return kUnusable;
}

absl::Status TakeAddresses(const LoadFlags& flags, LoadRunOptions* run) {
  const auto server = ParseServerAddress("--server", run->target, ServerFlags::kGrpcPort);
  if (!server.ok()) return server.status();
  run->target = server->Text();
  if (flags.http.empty()) return absl::OkStatus();
  const auto http = ParseServerAddress("--http", flags.http, ServerFlags::kHttpPort);
  if (!http.ok()) return http.status();
  run->http = ClientOptions{.server = *http, .security = {}};
  return absl::OkStatus();
}

int RunCommand(LoadFlags flags) {
  flags.run.publisher.style = *ParseWireStyle(flags.style);
  flags.run.duration = std::chrono::milliseconds(static_cast<int64_t>(flags.seconds * 1e3));
  flags.run.warm_up = std::chrono::milliseconds(static_cast<int64_t>(flags.warm_up_seconds * 1e3));
  if (absl::Status status = TakeAddresses(flags, &flags.run); !status.ok()) return Fail(status);
  const SyntheticEngineOptions& engine = flags.run.publisher.engine;
  if (engine.run_blocks > engine.max_conversation_blocks ||
      engine.max_conversation_blocks > engine.capacity_blocks) {
    return Fail(absl::InvalidArgumentError(
        "--run-blocks must be at most --conversation-blocks, and those at most --capacity"));
  }

  const absl::StatusOr<LoadReport> report = RunLoad(flags.run);
  if (!report.ok()) return Fail(report.status());
  const std::vector<std::string> failures = Failures(*report, flags.limits);
  std::FILE* const told = flags.json_path == "-" ? stderr : stdout;
  std::fputs(LoadReportTable(*report).c_str(), told);
  if (!flags.json_path.empty()) {
    absl::Status status = WriteReport(flags.json_path, LoadReportJson(*report, failures));
    if (!status.ok()) return Fail(status);
  }
  for (const std::string& failure : failures) std::fprintf(told, "FAILED %s\n", failure.c_str());
  return failures.empty() ? 0 : 1;
}

void AddEngineFlags(Command* command, LoadFlags* flags) {
  LoadPublisherOptions& publisher = flags->run.publisher;
  command->AddOption("--streams", &publisher.streams, "engines to be")
      .Between(1, 4'096)
      .ShowDefault();
  command
      ->AddOption("--blocks-per-second", &publisher.blocks_per_second,
                  "stored by all of them together; removals come on top")
      .Between(1.0, 1e8)
      .ShowDefault();
  command->AddOption("--style", &flags->style, "wire format")
      .OneOf({"vllm_positional", "vllm_map", "vllm_bytes", "sglang_map"})
      .ShowDefault();
  command->AddOption("--block-size", &publisher.engine.block_size_tokens, "tokens a block")
      .Between(1, 1'024)
      .ShowDefault();
  command->AddOption("--capacity", &publisher.engine.capacity_blocks, "blocks an engine can hold")
      .Between(1, 10'000'000)
      .ShowDefault();
  command->AddOption("--run-blocks", &publisher.engine.run_blocks, "blocks stored by one batch")
      .Between(1, 65'536)
      .ShowDefault();
  command
      ->AddOption("--conversation-blocks", &publisher.engine.max_conversation_blocks,
                  "longest chain")
      .Between(1, 262'144)
      .ShowDefault();
  command->AddOption("--seed", &publisher.engine.seed, "of what is published").ShowDefault();
}

}  // namespace

void AddLoadCommand(CommandLine* command_line) {
  Command command = command_line->AddCommand(
      "load", "publish events to a running kvroute at a fixed rate and check that all arrive");
  auto flags = std::make_shared<LoadFlags>();
  command
      .AddOption("--server,--target", &flags->run.target,
                 "kvroute's gRPC address: HOST:PORT, a URL or unix:/PATH")
      .ShowDefault();
  command
      .AddOption("--http", &flags->http,
                 "kvroute's HTTP address: HOST:PORT or a URL; empty: /metrics is not read")
      .ShowDefault();
  AddEngineFlags(&command, flags.get());
  command.AddOption("--seconds", &flags->seconds, "to measure").Between(0.1, 1e7).ShowDefault();
  command
      .AddOption("--warm-up", &flags->warm_up_seconds,
                 "seconds before; 0: until every engine has filled its capacity twice")
      .Between(0.0, 1e6)
      .ShowDefault();
  command
      .AddOption("--scores-per-second", &flags->run.scores_per_second,
                 "Score calls beside the events")
      .Between(0.0, 1e6)
      .ShowDefault();
  command
      .AddOption("--min-rate", &flags->limits.min_rate,
                 "fail when less than this part of the rate was published")
      .Between(0.0, 1.0)
      .ShowDefault();
  command.AddOption("--max-p99-ms", &flags->limits.max_p99_ms,
                    "fail when publish to visible is slower");
  command.AddOption(
      "--max-rss-growth", &flags->limits.max_rss_growth,
      "fail when kvroute's memory grows by more than this fraction after the warm-up");
  command.AddOption(
      "--json", &flags->json_path,
      "file for the report; -: standard output, and the table goes to standard error");
  command.SetAction([flags] { return RunCommand(*flags); });
}

}  // namespace kvroute
