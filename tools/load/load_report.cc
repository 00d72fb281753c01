#include "tools/load/load_report.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace kvroute {
namespace {

constexpr double kMiB = 1 << 20;

double BlocksPerSecond(const LoadReport& report) {
  return report.seconds > 0 ? static_cast<double>(report.published.stored_blocks) / report.seconds
                            : 0;
}

nlohmann::json ToJson(const LatencySummary& latency) {
  return {{"count", latency.count},
          {"p50", latency.p50_ms},
          {"p90", latency.p90_ms},
          {"p99", latency.p99_ms},
          {"max", latency.max_ms}};
}

std::string LatencyRow(absl::string_view name, const LatencySummary& latency) {
  return absl::StrFormat("%-28s p50 %.2f ms  p90 %.2f ms  p99 %.2f ms  max %.2f ms  (%d)\n", name,
                         latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.max_ms,
                         latency.count);
}

}  // namespace

std::vector<std::string> Failures(const LoadReport& report, const LoadLimits& limits) {
  std::vector<std::string> failures;
  if (report.applied_batches != report.published_batches) {
    failures.push_back(absl::StrCat("lost: ", report.published_batches, " batches published, ",
                                    report.applied_batches, " applied"));
  }
  for (const std::string& stream : report.not_exact)
    failures.push_back(absl::StrCat("not exact: ", stream));
  if (report.wrong_prompts > 0) {
    failures.push_back(absl::StrCat("wrong: ", report.wrong_prompts, " of ",
                                    report.verified_prompts,
                                    " prompts were not matched as the engines hold them"));
  }
  if (report.failed_scores > 0)
    failures.push_back(absl::StrCat("failed: ", report.failed_scores, " Score calls"));
  if (BlocksPerSecond(report) < limits.min_rate * report.target_blocks_per_second) {
    failures.push_back(absl::StrFormat("not kept up: published %.0f blocks/s of %.0f",
                                       BlocksPerSecond(report), report.target_blocks_per_second));
  }
  if (limits.max_p99_ms && report.visible.p99_ms > *limits.max_p99_ms) {
    failures.push_back(absl::StrFormat("slow: publish to visible p99 %.2f ms, limit %.2f ms",
                                       report.visible.p99_ms, *limits.max_p99_ms));
  }
  if (limits.max_rss_growth && !report.server)
    failures.push_back("no /metrics to read the resident memory from");
  if (limits.max_rss_growth && report.server &&
      report.server->rss_end_bytes >
          report.server->rss_start_bytes * (1 + *limits.max_rss_growth)) {
    failures.push_back(
        absl::StrFormat("grown: resident memory from %.1f to %.1f MiB, limit %.0f %%",
                        report.server->rss_start_bytes / kMiB, report.server->rss_end_bytes / kMiB,
                        100 * *limits.max_rss_growth));
  }
  return failures;
}

std::string LoadReportTable(const LoadReport& report) {
  std::string table = absl::StrFormat(
      "%-28s %d streams, %.0f s after the warm-up\n"
      "%-28s %.0f stored blocks/s (target %.0f), %.0f removed blocks/s, %.0f batches/s, %.1f MB/s\n"
      "%-28s %d of %d batches, %d lost, %d gaps, %d restarts, %d streams not exact\n"
      "%-28s %d prompts, %d wrong\n",
      "load", report.streams, report.seconds,                                 //
      "published", BlocksPerSecond(report), report.target_blocks_per_second,  //
      static_cast<double>(report.published.removed_blocks) / report.seconds,  //
      static_cast<double>(report.published.batches) / report.seconds,         //
      static_cast<double>(report.published.bytes) / report.seconds / 1e6,     //
      "applied", report.applied_batches, report.published_batches,            //
      static_cast<int64_t>(report.published_batches - report.applied_batches), report.gaps,
      report.restarts, report.not_exact.size(), "verified at the end", report.verified_prompts,
      report.wrong_prompts);
  absl::StrAppend(&table, LatencyRow("publish to visible", report.visible));
  if (report.scores.count > 0)
    absl::StrAppend(&table, LatencyRow("Score beside it", report.scores));
  if (report.server) {
    absl::StrAppendFormat(&table,
                          "%-28s p50 %.3f ms  p99 %.3f ms (kvroute_publish_lag_seconds)\n"
                          "%-28s %.2f cores, resident %.1f MiB after the warm-up, %.1f MiB at the "
                          "end, %.1f MiB at most\n",
                          "as kvroute measures it", report.server->publish_lag_p50_ms,
                          report.server->publish_lag_p99_ms, "kvroute used",
                          report.server->cpu_cores, report.server->rss_start_bytes / kMiB,
                          report.server->rss_end_bytes / kMiB, report.server->rss_max_bytes / kMiB);
  }
  return table;
}

std::string LoadReportJson(const LoadReport& report, const std::vector<std::string>& failures) {
  nlohmann::json json = {
      {"streams", report.streams},
      {"target_blocks_per_second", report.target_blocks_per_second},
      {"seconds", report.seconds},
      {"published",
       {{"batches", report.published.batches},
        {"stored_blocks", report.published.stored_blocks},
        {"removed_blocks", report.published.removed_blocks},
        {"bytes", report.published.bytes}}},
      {"published_batches", report.published_batches},
      {"applied_batches", report.applied_batches},
      {"lost_batches", static_cast<int64_t>(report.published_batches - report.applied_batches)},
      {"gaps", report.gaps},
      {"restarts", report.restarts},
      {"not_exact", report.not_exact},
      {"verified_prompts", report.verified_prompts},
      {"wrong_prompts", report.wrong_prompts},
      {"publish_to_visible_ms", ToJson(report.visible)},
      {"score_ms", ToJson(report.scores)},
      {"failed_scores", report.failed_scores},
      {"failures", failures},
      {"ok", failures.empty()},
  };
  if (report.server) {
    json["server"] = {{"publish_lag_p50_ms", report.server->publish_lag_p50_ms},
                      {"publish_lag_p99_ms", report.server->publish_lag_p99_ms},
                      {"cpu_cores", report.server->cpu_cores},
                      {"rss_start_bytes", report.server->rss_start_bytes},
                      {"rss_end_bytes", report.server->rss_end_bytes},
                      {"rss_max_bytes", report.server->rss_max_bytes}};
  }
  return json.dump(2) + "\n";
}

}  // namespace kvroute
