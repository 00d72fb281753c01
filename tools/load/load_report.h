#ifndef KVROUTE_TOOLS_LOAD_LOAD_REPORT_H_
#define KVROUTE_TOOLS_LOAD_LOAD_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/load/load_publisher.h"

namespace kvroute {

// What must hold for a run to count as passed, besides that nothing is lost.
struct LoadLimits {
  // Part of the target rate below which the run says nothing about kvroute at that rate.
  double min_rate = 0.98;
  std::optional<double> max_p99_ms;      // of publish to visible
  std::optional<double> max_rss_growth;  // fraction of the resident memory after the warm-up
};

// One latency in milliseconds.
struct LatencySummary {
  uint64_t count = 0;
  double p50_ms = 0;
  double p90_ms = 0;
  double p99_ms = 0;
  double max_ms = 0;
};

// What a run published and what kvroute made of it. Figures are of the time after the warm-up
// unless said.
struct LoadReport {
  int streams = 0;
  double target_blocks_per_second = 0;
  double seconds = 0;
  PublishedTotals published;

  // Of the whole run, warm-up included.
  uint64_t published_batches = 0;
  uint64_t applied_batches = 0;
  uint64_t gaps = 0;
  uint64_t restarts = 0;
  std::vector<std::string> not_exact;  // "load-3: degraded (replay_hole)"
  uint64_t verified_prompts = 0;       // Score calls for what the engines hold at the end
  uint64_t wrong_prompts = 0;          // whose answer was another

  LatencySummary visible;  // published to seen in Fleet.List by this process: an upper bound
  LatencySummary scores;   // Router.Score calls made beside the load
  uint64_t failed_scores = 0;

  // From /metrics; absent without it.
  struct Server {
    double publish_lag_p50_ms = 0;
    double publish_lag_p99_ms = 0;
    double cpu_cores = 0;
    double rss_start_bytes = 0;
    double rss_end_bytes = 0;
    double rss_max_bytes = 0;
  };
  std::optional<Server> server;
};

// Why the run failed, a line each; empty: it passed.
std::vector<std::string> Failures(const LoadReport& report, const LoadLimits& limits);

std::string LoadReportTable(const LoadReport& report);
std::string LoadReportJson(const LoadReport& report, const std::vector<std::string>& failures);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_LOAD_LOAD_REPORT_H_
