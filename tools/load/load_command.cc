#include "tools/load/load_command.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

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

bool ParseHostPort(const std::string& text, std::string* host, int* port) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return false;
  *host = text.substr(0, colon);
  return CLI::detail::lexical_cast(text.substr(colon + 1), *port) && *port > 0 && *port < 65'536;
}

int RunCommand(LoadFlags flags) {
  flags.run.publisher.style = *ParseWireStyle(flags.style);
  flags.run.duration = std::chrono::milliseconds(static_cast<int64_t>(flags.seconds * 1e3));
  flags.run.warm_up = std::chrono::milliseconds(static_cast<int64_t>(flags.warm_up_seconds * 1e3));
  if (flags.http.empty()) {
    flags.run.http_port = 0;
  } else if (!ParseHostPort(flags.http, &flags.run.http_host, &flags.run.http_port)) {
    return Fail("--http: not HOST:PORT: " + flags.http);
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

void AddEngineFlags(CLI::App* command, LoadFlags* flags) {
  LoadPublisherOptions& publisher = flags->run.publisher;
  command->add_option("--streams", publisher.streams, "engines to be")
      ->check(CLI::Range(1, 4'096))
      ->capture_default_str();
  command
      ->add_option("--blocks-per-second", publisher.blocks_per_second,
                   "stored by all of them together; removals come on top")
      ->check(CLI::Range(1.0, 1e8))
      ->capture_default_str();
  command->add_option("--style", flags->style, "wire format")
      ->check(CLI::IsMember({"vllm_positional", "vllm_map", "vllm_bytes", "sglang_map"}))
      ->capture_default_str();
  command->add_option("--block-size", publisher.engine.block_size_tokens, "tokens a block")
      ->check(CLI::Range(1, 1'024))
      ->capture_default_str();
  command->add_option("--capacity", publisher.engine.capacity_blocks, "blocks an engine can hold")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  command->add_option("--run-blocks", publisher.engine.run_blocks, "blocks stored by one batch")
      ->check(CLI::Range(1, 65'536))
      ->capture_default_str();
  command
      ->add_option("--conversation-blocks", publisher.engine.max_conversation_blocks,
                   "longest chain")
      ->check(CLI::Range(1, 262'144))
      ->capture_default_str();
  command->add_option("--seed", publisher.engine.seed, "of what is published")
      ->capture_default_str();
}

}  // namespace

void AddLoadCommand(CLI::App* app, int* exit_code) {
  CLI::App* command = app->add_subcommand(
      "load", "publish events to a running kvroute at a fixed rate and check that all arrive");
  auto flags = std::make_shared<LoadFlags>();
  command->add_option("--target", flags->run.target, "kvroute's gRPC address")
      ->capture_default_str();
  command->add_option("--http", flags->http, "kvroute's HTTP address; empty: /metrics is not read")
      ->capture_default_str();
  AddEngineFlags(command, flags.get());
  command->add_option("--seconds", flags->seconds, "to measure")
      ->check(CLI::Range(0.1, 1e7))
      ->capture_default_str();
  command
      ->add_option("--warm-up", flags->warm_up_seconds,
                   "seconds before; 0: until every engine has filled its capacity twice")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  command
      ->add_option("--scores-per-second", flags->run.scores_per_second,
                   "Score calls beside the events")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  command
      ->add_option("--min-rate", flags->limits.min_rate,
                   "fail when less than this part of the rate was published")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--max-p99-ms", flags->limits.max_p99_ms,
                      "fail when publish to visible is slower");
  command->add_option(
      "--max-rss-growth", flags->limits.max_rss_growth,
      "fail when kvroute's memory grows by more than this fraction after the warm-up");
  command->add_option("--json", flags->json_path, "file for the report");
  command->callback([flags, exit_code] { *exit_code = RunCommand(*flags); });
}

}  // namespace kvroute
