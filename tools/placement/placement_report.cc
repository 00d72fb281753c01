#include "tools/placement/placement_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_format.h"

namespace kvroute {
namespace {

using Json = nlohmann::ordered_json;

double TtftMean(const PlacementFigures& figures) { return figures.ttft_mean_ms; }
double TtftP99(const PlacementFigures& figures) { return figures.ttft_ms.p99; }
double HitRate(const PlacementFigures& figures) { return figures.hit_rate; }

double MedianSpread(const LoadResult& result, double (*figure)(const PlacementFigures&)) {
  std::vector<double> spreads;
  for (const PolicyResult& policy : result.policies) {
    spreads.push_back(SpreadOf(policy.repetitions, figure));
  }
  if (spreads.empty()) return 0;
  std::sort(spreads.begin(), spreads.end());
  return spreads[spreads.size() / 2];
}

void AppendRow(const std::string& name, const PlacementFigures& mean, std::string* table) {
  absl::StrAppendFormat(
      table, "%-14s %9.0f %8.0f %8.0f %9.0f %8.1f %8.1f %7.1f%% %6.1f%% %6.2f %6.0f\n", name,
      mean.ttft_mean_ms, mean.ttft_ms.p50, mean.ttft_ms.p90, mean.ttft_ms.p99, mean.tpot_mean_ms,
      mean.tpot_ms.p99, 100 * mean.goodput_share, 100 * mean.hit_rate, mean.imbalance,
      mean.preemptions);
}

Json JsonOf(const Percentiles& percentiles, double mean) {
  return {
      {"mean", mean}, {"p50", percentiles.p50}, {"p90", percentiles.p90}, {"p99", percentiles.p99}};
}

Json JsonOf(const PlacementFigures& figures) {
  return {{"requests", figures.requests},
          {"ttft_ms", JsonOf(figures.ttft_ms, figures.ttft_mean_ms)},
          {"tpot_ms", JsonOf(figures.tpot_ms, figures.tpot_mean_ms)},
          {"goodput_share", figures.goodput_share},
          {"goodput_rps", figures.goodput_rps},
          {"hit_rate", figures.hit_rate},
          {"imbalance", figures.imbalance},
          {"preemptions", figures.preemptions},
          {"virtual_seconds", figures.virtual_seconds}};
}

Json JsonOf(const LoadResult& result) {
  const PlacementNoise noise = NoiseOf(result);
  Json policies = Json::array();
  for (const PolicyResult& policy : result.policies) {
    Json row = {{"policy", policy.name}};
    row.update(JsonOf(MeanOf(policy.repetitions)));
    row["ttft_mean_ms_by_repetition"] = Json::array();
    for (const PlacementFigures& one : policy.repetitions) {
      row["ttft_mean_ms_by_repetition"].push_back(one.ttft_mean_ms);
    }
    policies.push_back(std::move(row));
  }
  return {{"load", result.load},
          {"offered_rps", result.offered_rps},
          {"noise",
           {{"ttft_mean", noise.ttft_mean},
            {"ttft_p99", noise.ttft_p99},
            {"hit_rate", noise.hit_rate}}},
          {"policies", std::move(policies)}};
}

}  // namespace

PlacementNoise NoiseOf(const LoadResult& result) {
  return {.ttft_mean = MedianSpread(result, TtftMean),
          .ttft_p99 = MedianSpread(result, TtftP99),
          .hit_rate = MedianSpread(result, HitRate)};
}

std::string PlacementTable(const PlacementSubject& subject, const PlacementRun& run) {
  std::string table = absl::StrFormat(
      "%s, %d requests on %d workers of %d blocks of %d tokens, %s, %s\n"
      "hits at most: %.1f%% (infinite cache), %.1f%% (one pool of the fleet's size)\n",
      subject.workload, subject.requests, subject.workers, subject.blocks_per_worker,
      subject.block_size_tokens, subject.profile, subject.driving, 100 * run.ladder.infinite,
      100 * run.ladder.one_pool);
  for (const LoadResult& result : run.loads) {
    if (result.policies.empty()) continue;
    absl::StrAppendFormat(&table,
                          "\nload %g of %.2f requests/s; good: TTFT <= %.0f ms, TPOT <= %.0f ms\n",
                          result.load, run.capacity_rps, subject.figures.ttft_objective_ms,
                          subject.figures.tpot_objective_ms);
    absl::StrAppendFormat(&table, "%-14s %9s %8s %8s %9s %8s %8s %8s %7s %6s %6s\n", "policy",
                          "TTFT mean", "p50", "p90", "p99", "TPOT", "p99", "good", "hits", "imbal",
                          "preem");
    for (const PolicyResult& policy : result.policies) {
      AppendRow(policy.name, MeanOf(policy.repetitions), &table);
    }
    const PlacementNoise noise = NoiseOf(result);
    absl::StrAppendFormat(&table, "%-14s %8.1f%% %26.1f%% %34.1f%%   of %d repetitions\n", "noise",
                          100 * noise.ttft_mean, 100 * noise.ttft_p99, 100 * noise.hit_rate,
                          subject.repetitions);
  }
  return table;
}

std::string PlacementJson(const PlacementSubject& subject, const PlacementRun& run) {
  Json loads = Json::array();
  for (const LoadResult& result : run.loads) loads.push_back(JsonOf(result));
  const Json report = {{"workload", subject.workload},
                       {"requests", subject.requests},
                       {"profile", subject.profile},
                       {"driving", subject.driving},
                       {"workers", subject.workers},
                       {"blocks_per_worker", subject.blocks_per_worker},
                       {"block_size_tokens", subject.block_size_tokens},
                       {"repetitions", subject.repetitions},
                       {"announcement_lag_ms", subject.lag_ms},
                       {"warm_up_share", subject.figures.warm_up_share},
                       {"ttft_objective_ms", subject.figures.ttft_objective_ms},
                       {"tpot_objective_ms", subject.figures.tpot_objective_ms},
                       {"capacity_rps", run.capacity_rps},
                       {"hit_rate_infinite", run.ladder.infinite},
                       {"hit_rate_one_pool", run.ladder.one_pool},
                       {"loads", std::move(loads)}};
  return report.dump(2) + "\n";
}

}  // namespace kvroute
