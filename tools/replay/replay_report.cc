#include "tools/replay/replay_report.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace kvroute {
namespace {

double Quantile(const std::vector<float>& sorted, double q) {
  if (sorted.empty()) return 0;
  const auto rank = static_cast<size_t>(std::ceil(q * static_cast<double>(sorted.size())));
  return static_cast<double>(sorted[std::max<size_t>(rank, 1) - 1]);
}

double Rate(uint64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

double Per(uint64_t bytes, uint64_t count) {
  return count == 0 ? 0 : static_cast<double>(bytes) / static_cast<double>(count);
}

std::string TimesLine(const char* name, const OperationTimes& times) {
  return absl::StrFormat(
      "  %-16s %9u ops %10u blocks   mean %7.0f ns   %5.1f ns/block   p50 %6.0f   p99 %7.0f   "
      "p99.9 %8.0f\n",
      name, times.operations, times.blocks, times.MeanNs(), times.NsPerBlock(), times.p50_ns,
      times.p99_ns, times.p999_ns);
}

nlohmann::json TimesJson(const OperationTimes& times) {
  return {{"operations", times.operations}, {"blocks", times.blocks},
          {"mean_ns", times.MeanNs()},      {"ns_per_block", times.NsPerBlock()},
          {"p50_ns", times.p50_ns},         {"p99_ns", times.p99_ns},
          {"p999_ns", times.p999_ns}};
}

nlohmann::json RunJson(const ReplayRun& run) {
  nlohmann::json json = {
      {"query", TimesJson(run.query)},
      {"query_with_chaining", TimesJson(run.query_chaining)},
      {"store", TimesJson(run.store)},
      {"remove", TimesJson(run.remove)},
      {"clear", TimesJson(run.clear)},
      {"elapsed_s", run.elapsed_s},
      {"block_ops", run.VerifiedBlockOps()},
      {"block_ops_per_s", Rate(run.VerifiedBlockOps(), run.elapsed_s)},
      {"requested_block_ops", run.RequestedBlockOps()},
      {"requested_block_ops_per_s", Rate(run.RequestedBlockOps(), run.elapsed_s)},
      {"checksum", absl::StrCat(run.checksum)},  // text: JSON numbers lose the low bits
      {"memory",
       {{"holdings", run.stats.holdings},
        {"distinct_blocks", run.stats.distinct_blocks},
        {"runs", run.stats.runs},
        {"index_bytes", run.stats.bytes},
        {"rss_growth_bytes", run.rss_growth_bytes},
        {"rss_bytes_per_holding", Per(run.rss_growth_bytes, run.stats.holdings)},
        {"rss_bytes_per_distinct_block", Per(run.rss_growth_bytes, run.stats.distinct_blocks)}}}};
  if (run.open) {
    json["open"] = {{"window_s", run.open->window_s},
                    {"issue_span_s", run.open->issue_span_s},
                    {"kept_up", run.open->KeptUp(run.elapsed_s)}};
  } else {
    json["cpu_share"] = run.cpu_share;
    json["probe_ns"] = run.probe_ns;
  }
  return json;
}

std::string RunText(const ReplayRun& run) {
  std::string text = absl::StrFormat(
      "%.2f M block ops/s (queries counted as far as verified; %.2f M as requested) in %.3f s\n",
      Rate(run.VerifiedBlockOps(), run.elapsed_s) * 1e-6,
      Rate(run.RequestedBlockOps(), run.elapsed_s) * 1e-6, run.elapsed_s);
  if (!run.open) absl::StrAppend(&text, TimesLine("query", run.query));
  absl::StrAppend(&text, TimesLine("query + chaining", run.query_chaining));
  absl::StrAppend(&text, TimesLine("store", run.store), TimesLine("remove", run.remove));
  if (run.clear.operations > 0) absl::StrAppend(&text, TimesLine("clear", run.clear));
  absl::StrAppendFormat(
      &text,
      "  memory: %u holdings, %u distinct blocks, %u runs; RSS grew %.1f MB: %.1f B a holding, "
      "%.1f B a distinct block; the index counts %.1f MB\n",
      run.stats.holdings, run.stats.distinct_blocks, run.stats.runs,
      static_cast<double>(run.rss_growth_bytes) * 1e-6,
      Per(run.rss_growth_bytes, run.stats.holdings),
      Per(run.rss_growth_bytes, run.stats.distinct_blocks),
      static_cast<double>(run.stats.bytes) * 1e-6);
  if (run.open) {
    absl::StrAppendFormat(&text, "  window %.3f s, issue span %.3f s: %s\n", run.open->window_s,
                          run.open->issue_span_s,
                          run.open->KeptUp(run.elapsed_s) ? "kept up" : "did not keep up");
  } else {
    absl::StrAppendFormat(&text, "  checksum of all answers %u\n", run.checksum);
  }
  return text;
}

}  // namespace

OperationTimes OperationTimes::Of(std::vector<float>* samples_ns, uint64_t blocks) {
  std::sort(samples_ns->begin(), samples_ns->end());
  OperationTimes times;
  times.operations = samples_ns->size();
  times.blocks = blocks;
  times.total_ns = std::accumulate(samples_ns->begin(), samples_ns->end(), 0.0);
  times.p50_ns = Quantile(*samples_ns, 0.5);
  times.p99_ns = Quantile(*samples_ns, 0.99);
  times.p999_ns = Quantile(*samples_ns, 0.999);
  return times;
}

std::string ReplayReport::ToText() const {
  std::string text;
  for (const ReplayRun& run : runs) {
    absl::StrAppend(&text, index, ", ", mode, " loop", second_half_only ? ", second half" : "",
                    ": ", RunText(run));
  }
  return text;
}

std::string ReplayReport::ToJson() const {
  nlohmann::json json = {{"tool", "kvroute replay"},
                         {"corpus", corpus},
                         {"index", index},
                         {"mode", mode},
                         {"second_half_only", second_half_only},
                         {"runs", nlohmann::json::array()}};
  for (const ReplayRun& run : runs) json["runs"].push_back(RunJson(run));
  return json.dump(2);
}

uint64_t ProcessRssBytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  unsigned long total = 0;
  unsigned long resident = 0;
  const int fields = std::fscanf(file, "%lu %lu", &total, &resident);
  std::fclose(file);
  return fields == 2 ? resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) : 0;
}

}  // namespace kvroute
