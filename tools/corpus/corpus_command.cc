#include "tools/corpus/corpus_command.h"

#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/command_line/command_line.h"
#include "tools/corpus/corpus_builder.h"
#include "tools/workload/generator.h"

namespace kvroute {
namespace {

struct CorpusFlags {
  CorpusOptions options;
  std::string trace_path;
  std::string out_path;
  uint32_t window_ms = 60'000;
  uint32_t requests = 4'000;
  int placement = static_cast<int>(CorpusPlacementPolicy::kRandom);
  int hash_scheme = static_cast<int>(CorpusHashScheme::kPrefix);
};

absl::StatusOr<std::vector<TraceRequest>> LoadTrace(const CorpusFlags& flags) {
  if (!flags.trace_path.empty()) return ReadTrace(flags.trace_path);
  GeneratorOptions generator;
  generator.seed = flags.options.seed;
  generator.requests = flags.requests;
  return GenerateTrace(generator);
}

void PrintTotals(const CorpusFlags& flags, const CorpusTotals& totals) {
  const uint64_t block_ops = totals.request_blocks + totals.stored_blocks + totals.removed_blocks;
  std::printf(
      "%s: %lu queries of %lu blocks, %lu stores of %lu, %lu removals of %lu, %lu clears: "
      "%.1f M block operations\n",
      flags.out_path.c_str(), totals.requests, totals.request_blocks, totals.stored_events,
      totals.stored_blocks, totals.removed_events, totals.removed_blocks, totals.cleared_events,
      static_cast<double>(block_ops) * 1e-6);
}

absl::Status WriteCorpus(CorpusFlags flags) {
  flags.options.window_ns = uint64_t{flags.window_ms} * 1'000'000;
  absl::StatusOr<std::vector<TraceRequest>> trace = LoadTrace(flags);
  if (!trace.ok()) return trace.status();
  absl::StatusOr<std::unique_ptr<CorpusWriter>> writer =
      CorpusWriter::Create(flags.out_path, flags.options.cpu_blocks_per_worker > 0 ||
                                               flags.options.disk_blocks_per_worker > 0);
  if (!writer.ok()) return writer.status();
  CorpusBuilder builder(flags.options, writer->get());
  size_t shown_percent = 0;
  builder.Play(*trace, [&](size_t done) {
    const size_t percent = done * 100 / trace->size();
    if (percent / 10 == shown_percent / 10) return;
    shown_percent = percent;
    std::fprintf(stderr, "corpus: %zu %% of %zu requests\n", percent, trace->size());
  });
  const std::string name = flags.trace_path.empty() ? "generated" : flags.trace_path;
  if (absl::Status status = (*writer)->Finish(builder.Header(name)); !status.ok()) return status;
  PrintTotals(flags, (*writer)->totals());
  return absl::OkStatus();
}

void AddMischief(Command* command, CorpusOptions* options) {
  const auto probability = [&](const char* name, double* value, const char* help) {
    command->AddOption(name, value, help).Between(0.0, 1.0).ShowDefault();
  };
  probability("--holes", &options->holes, "chance a request of a block evicted out of turn");
  probability("--duplicates", &options->duplicates, "... of cached blocks computed again");
  probability("--restarts", &options->restarts, "... of its worker restarting before it");
  probability("--clears", &options->clears, "... of its worker's cache being reset before it");
}

}  // namespace

void AddCorpusCommand(CommandLine* command_line) {
  const std::map<std::string, int> placements = {
      {"random", static_cast<int>(CorpusPlacementPolicy::kRandom)},
      {"round_robin", static_cast<int>(CorpusPlacementPolicy::kRoundRobin)},
      {"cache_aware", static_cast<int>(CorpusPlacementPolicy::kCacheAware)}};
  const std::map<std::string, int> hash_schemes = {
      {"prefix", static_cast<int>(CorpusHashScheme::kPrefix)},
      {"per-worker", static_cast<int>(CorpusHashScheme::kPerWorker)}};
  Command command = command_line->AddCommand(
      "corpus", "write the operations of an engine fleet on a trace as a file for replay");
  auto flags = std::make_shared<CorpusFlags>();
  CorpusOptions& options = flags->options;
  command.AddOption("--trace", &flags->trace_path, "Mooncake-format trace; none: generated");
  command.AddOption("--requests", &flags->requests, "requests to generate without --trace")
      .Between(1, 10'000'000)
      .ShowDefault();
  command.AddOption("--out", &flags->out_path, "file to write").Required();
  command.AddOption("--workers", &options.workers, "engine workers")
      .Between(1, 16'384)
      .ShowDefault();
  command.AddOption("--blocks-per-worker", &options.blocks_per_worker, "capacity of each pool")
      .Between(1, 100'000'000)
      .ShowDefault();
  command
      .AddOption("--cpu-blocks-per-worker", &options.cpu_blocks_per_worker,
                 "... of the pool on cpu that evicted blocks go to")
      .Between(0, 100'000'000)
      .ShowDefault();
  command
      .AddOption("--disk-blocks-per-worker", &options.disk_blocks_per_worker,
                 "... of the one on disk behind it")
      .Between(0, 100'000'000)
      .ShowDefault();
  command.AddOption("--block-size", &options.block_size_tokens, "tokens a block")
      .Between(1u, kTraceBlockTokens)
      .ShowDefault();
  command.AddOption("--duplication", &options.duplication, "copies of the trace, hashes disjoint")
      .Between(1, 10'000)
      .ShowDefault();
  command.AddOption("--length-factor", &options.length_factor, "blocks that a trace id becomes")
      .Between(1, 1'024)
      .ShowDefault();
  command
      .AddOption("--store-blocks", &options.store_blocks,
                 "blocks that an engine stores in a step; 0: whole prompts, and nothing decoded")
      .Between(0, 1'000'000)
      .ShowDefault();
  command.AddOption("--step-ms", &options.step_ms, "of the trace, between two such steps")
      .Between(1, 1'000'000)
      .ShowDefault();
  command.AddOption("--token-ms", &options.token_ms, "of the trace, for each decoded token")
      .Between(1, 1'000'000)
      .ShowDefault();
  command.AddOption("--seed", &options.seed, "of placement, generator and chances").ShowDefault();
  command.AddOption("--window-ms", &flags->window_ms, "span that the deadlines are scaled to")
      .Between(1, 86'400'000)
      .ShowDefault();
  command.AddChoice("--placement", placements, &flags->placement,
                    "random, round_robin or cache_aware");
  command.AddChoice("--hash-scheme", hash_schemes, &flags->hash_scheme, "prefix or per-worker");
  AddMischief(&command, &options);
  command.SetAction([flags] {
    flags->options.placement = static_cast<CorpusPlacementPolicy>(flags->placement);
    flags->options.hash_scheme = static_cast<CorpusHashScheme>(flags->hash_scheme);
    const absl::Status status = WriteCorpus(*flags);
    if (status.ok()) return 0;
    std::fprintf(stderr, "kvroute corpus: %s\n", std::string(status.message()).c_str());
    return 1;
  });
}

}  // namespace kvroute
