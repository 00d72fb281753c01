#include "tools/corpus/corpus_command.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
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
  absl::StatusOr<std::unique_ptr<CorpusWriter>> writer = CorpusWriter::Create(flags.out_path);
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

void AddMischief(CLI::App* command, CorpusOptions* options) {
  const auto probability = [&](const char* name, double* value, const char* help) {
    command->add_option(name, *value, help)->check(CLI::Range(0.0, 1.0))->capture_default_str();
  };
  probability("--holes", &options->holes, "chance a request of a block evicted out of turn");
  probability("--duplicates", &options->duplicates, "... of cached blocks computed again");
  probability("--restarts", &options->restarts, "... of its worker restarting before it");
  probability("--clears", &options->clears, "... of its worker's cache being reset before it");
}

}  // namespace

void AddCorpusCommand(CLI::App* app, int* exit_code) {
  CLI::App* command = app->add_subcommand(
      "corpus", "write the operations of an engine fleet on a trace as a file for replay");
  auto flags = std::make_shared<CorpusFlags>();
  CorpusOptions& options = flags->options;
  command->add_option("--trace", flags->trace_path, "Mooncake-format trace; none: generated");
  command->add_option("--requests", flags->requests, "requests to generate without --trace")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  command->add_option("--out", flags->out_path, "file to write")->required();
  command->add_option("--workers", options.workers, "engine workers")
      ->check(CLI::Range(1, 16'384))
      ->capture_default_str();
  command->add_option("--blocks-per-worker", options.blocks_per_worker, "capacity of each pool")
      ->check(CLI::Range(1, 100'000'000))
      ->capture_default_str();
  command->add_option("--block-size", options.block_size_tokens, "tokens a block")
      ->check(CLI::Range(1u, kTraceBlockTokens))
      ->capture_default_str();
  command->add_option("--duplication", options.duplication, "copies of the trace, hashes disjoint")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  command->add_option("--length-factor", options.length_factor, "blocks that a trace id becomes")
      ->check(CLI::Range(1, 1'024))
      ->capture_default_str();
  command->add_option("--seed", options.seed, "of placement, generator and chances")
      ->capture_default_str();
  command->add_option("--window-ms", flags->window_ms, "span that the deadlines are scaled to")
      ->check(CLI::Range(1, 86'400'000))
      ->capture_default_str();
  command->add_option("--placement", options.placement, "random, round_robin or cache_aware")
      ->transform(CLI::CheckedTransformer(std::map<std::string, CorpusPlacementPolicy>{
          {"random", CorpusPlacementPolicy::kRandom},
          {"round_robin", CorpusPlacementPolicy::kRoundRobin},
          {"cache_aware", CorpusPlacementPolicy::kCacheAware}}));
  command->add_option("--hash-scheme", options.hash_scheme, "prefix or per-worker")
      ->transform(CLI::CheckedTransformer(std::map<std::string, CorpusHashScheme>{
          {"prefix", CorpusHashScheme::kPrefix}, {"per-worker", CorpusHashScheme::kPerWorker}}));
  AddMischief(command, &options);
  command->callback([flags, exit_code] {
    const absl::Status status = WriteCorpus(*flags);
    if (status.ok()) return;
    std::fprintf(stderr, "kvroute corpus: %s\n", std::string(status.message()).c_str());
    *exit_code = 1;
  });
}

}  // namespace kvroute
