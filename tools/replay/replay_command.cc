#include "tools/replay/replay_command.h"

#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include "tools/command_line/command_line.h"
#include "tools/replay/closed_loop.h"
#include "tools/replay/open_loop.h"

namespace kvroute {
namespace {

struct ReplayFlags {
  std::string corpus_path;
  std::string mode = "closed";
  std::string index = "runs";
  bool check = false;
  std::string json_path;
  uint32_t repetitions = 1;
  uint32_t window_ms = 0;
  OpenLoopOptions open;
};

const std::map<std::string, ReplayIndexKind>& IndexKinds() {
  static const auto* const kinds =
      new std::map<std::string, ReplayIndexKind>{{"runs", ReplayIndexKind::kRuns},
                                                 {"flat", ReplayIndexKind::kFlat},
                                                 {"none", ReplayIndexKind::kNone}};
  return *kinds;
}

absl::StatusOr<ReplayRun> RunOnce(const ReplayFlags& flags, const Corpus& corpus,
                                  uint64_t rss_before) {
  const std::unique_ptr<ReplayIndex> index = MakeReplayIndex(IndexKinds().at(flags.index));
  absl::StatusOr<ReplayRun> run =
      flags.mode == "open" ? ReplayOpenLoop(corpus, flags.open, index.get())
                           : ReplayClosedLoop(corpus, flags.open.second_half_only, index.get());
  if (run.ok()) {
    const uint64_t rss = ProcessRssBytes();
    run->rss_growth_bytes = rss > rss_before ? rss - rss_before : 0;
  }
  return run;
}

absl::Status Measure(const ReplayFlags& flags, const Corpus& corpus) {
  ReplayReport report;
  report.corpus = flags.corpus_path;
  report.index = flags.index;
  report.mode = flags.mode;
  report.second_half_only = flags.open.second_half_only;
  const uint64_t rss_before = ProcessRssBytes();
  for (uint32_t i = 0; i < flags.repetitions; ++i) {
    absl::StatusOr<ReplayRun> run = RunOnce(flags, corpus, rss_before);
    if (!run.ok()) return run.status();
    report.runs.push_back(*run);
  }
  if (flags.json_path != "-") std::fputs(report.ToText().c_str(), stdout);
  if (flags.json_path.empty()) return absl::OkStatus();
  return WriteReport(flags.json_path, report.ToJson());
}

absl::Status Replay(const ReplayFlags& flags) {
  const absl::StatusOr<Corpus> corpus = Corpus::Read(flags.corpus_path);
  if (!corpus.ok()) return corpus.status();
  if (!flags.check) return Measure(flags, *corpus);
  const std::unique_ptr<ReplayIndex> index = MakeReplayIndex(IndexKinds().at(flags.index));
  if (absl::Status status = CheckAgainstModel(*corpus, index.get()); !status.ok()) return status;
  std::printf("%s: all %zu operations equal the reference model\n", flags.corpus_path.c_str(),
              corpus->operations.size());
  return absl::OkStatus();
}

}  // namespace

void AddReplayCommand(CommandLine* command_line) {
  Command command = command_line->AddCommand(
      "replay", "run a corpus file against the index and measure or check it");
  auto flags = std::make_shared<ReplayFlags>();
  command.AddOption("--corpus", &flags->corpus_path, "file written by kvroute corpus").Required();
  command.AddOption("--mode", &flags->mode, "closed: serial, timed one by one; open: by deadline")
      .OneOf({"closed", "open"})
      .ShowDefault();
  command.AddFlag("--half", &flags->open.second_half_only, "time the second half only");
  command.AddOption("--index", &flags->index, "runs, flat (the yardstick) or none (the floor)")
      .OneOf({"runs", "flat", "none"})
      .ShowDefault();
  command.AddFlag("--check", &flags->check, "compare every answer with the reference model");
  command.AddOption("--json", &flags->json_path,
                    "file for the report as JSON; -: standard output, instead of the text");
  command.AddOption("--repetitions", &flags->repetitions, "runs, each on a new index")
      .Between(1, 1'000)
      .ShowDefault();
  command.AddOption("--window-ms", &flags->window_ms, "open: scale the deadlines to this window")
      .Between(1, 86'400'000);
  command
      .AddOption("--offered-block-ops", &flags->open.offered_block_ops,
                 "open: scale the deadlines to this many block operations a second")
      .Positive();
  command.AddOption("--query-lanes", &flags->open.query_lanes, "open: threads that query")
      .Between(1, 1'024)
      .ShowDefault();
  command.AddOption("--event-lanes", &flags->open.event_lanes, "open: threads that apply events")
      .Between(1, 1'024)
      .ShowDefault();
  command.AddFlag("!--no-pin", &flags->open.pin, "open: leave the lanes to the scheduler");
  command.SetAction([flags] {
    flags->open.window_ns = uint64_t{flags->window_ms} * 1'000'000;
    const absl::Status status = Replay(*flags);
    if (status.ok()) return 0;
    std::fprintf(stderr, "kvroute replay: %s\n", std::string(status.message()).c_str());
    return 1;
  });
}

}  // namespace kvroute
