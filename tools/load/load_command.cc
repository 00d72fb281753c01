#include "tools/load/load_command.h"

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

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

int Fail(const std::string& why) {
  std::fprintf(stderr, "kvroute load: %s\n", why.c_str());
  return kUnusable;
}

int RunCommand(LoadFlags flags) {
  flags.run.publisher.style = *ParseWireStyle(flags.style);
  flags.run.duration = std::chrono::milliseconds(static_cast<int64_t>(flags.seconds * 1e3));
  flags.run.warm_up = std::chrono::milliseconds(static_cast<int64_t>(flags.warm_up_seconds * 1e3));
  if (flags.http.empty()) {
    flags.run.http_port = 0;
  } else {
    const std::optional<HostPort> http = ParseHostPort(flags.http);
    if (!http.has_value()) return Fail("--http: not HOST:PORT: " + flags.http);
    flags.run.http_host = http->host;
    flags.run.http_port = http->port;
  }
  const SyntheticEngineOptions& engine = flags.run.publisher.engine;
  if (engine.run_blocks > engine.max_conversation_blocks ||
      engine.max_conversation_blocks > engine.capacity_blocks) {
    return Fail("--run-blocks must be at most --conversation-blocks, and those at most --capacity");
  }

  const absl::StatusOr<LoadReport> report = RunLoad(flags.run);
  if (!report.ok()) return Fail(report.status().ToString());
  const std::vector<std::string> failures = Failures(*report, flags.limits);
  std::fputs(LoadReportTable(*report).c_str(), stdout);
  if (!flags.json_path.empty()) {
    std::ofstream file(flags.json_path);
    file << LoadReportJson(*report, failures);
    if (!file.flush()) return Fail("--json: cannot write " + flags.json_path);
  }
  for (const std::string& failure : failures) std::printf("FAILED %s\n", failure.c_str());
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
  command.AddOption("--target", &flags->run.target, "kvroute's gRPC address").ShowDefault();
  command.AddOption("--http", &flags->http, "kvroute's HTTP address; empty: /metrics is not read")
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
  command.AddOption("--json", &flags->json_path, "file for the report");
  command.SetAction([flags] { return RunCommand(*flags); });
}

}  // namespace kvroute
