#include "tools/fleet/report.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"

namespace kvroute {
namespace {

nlohmann::ordered_json PolicyJson(const PolicyReport& policy) {
  const PredictionCounts& predictions = policy.predictions;
  nlohmann::ordered_json json;
  json["requests"] = policy.requests;
  json["hit_rate"] = policy.hit_rate();
  json["predictions_equal"] = predictions.equal;
  json["predictions_over"] = predictions.over;
  json["predictions_under"] = predictions.under;
  json["predictions_not_exact"] = predictions.not_exact + predictions.not_settled;
  json["ttft_ms"] = {
      {"p50", policy.ttft_ms.p50}, {"p90", policy.ttft_ms.p90}, {"p99", policy.ttft_ms.p99}};
  json["imbalance"] = policy.imbalance;
  json["asks_kvroute"] = policy.asks_kvroute;
  json["predictions_not_trusted"] = predictions.not_exact;
  json["predictions_not_settled"] = predictions.not_settled;
  json["predictions_not_settled_equal"] = predictions.not_settled_equal;
  json["preemptions"] = policy.preemptions;
  json["batches"] = policy.batches;
  json["published_blocks"] = policy.published_blocks;
  json["virtual_seconds"] = policy.virtual_seconds;
  json["wall_seconds"] = policy.wall_seconds;
  json["max_behind_ms"] = policy.max_behind_ms;
  if (policy.asks_kvroute)
    json["route_us"] = {{"p50", policy.route_p50_us}, {"p99", policy.route_p99_us}};
  return json;
}

// The other half of a pair, when both ran.
const PolicyReport* OracleOf(const FleetReport& report, absl::string_view name) {
  absl::ConsumePrefix(&name, "kvroute:");
  const std::string oracle = absl::StrCat("oracle:", name);
  for (const auto& [other, policy] : report.policies) {
    if (other == oracle) return &policy;
  }
  return nullptr;
}

}  // namespace

Percentiles PercentilesOf(std::vector<double> samples) {
  if (samples.empty()) return {};
  std::sort(samples.begin(), samples.end());
  const auto at = [&samples](double share) {
    const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(samples.size())));
    return samples[std::max<size_t>(rank, 1) - 1];
  };
  return {.p50 = at(0.5), .p90 = at(0.9), .p99 = at(0.99)};
}

std::string ToTable(const FleetReport& report) {
  std::string table = absl::StrFormat(
      "%-20s %8s %7s | %8s %5s %5s %8s %9s | %8s %8s %8s | %9s\n", "policy", "requests", "hits",
      "equal", "over", "under", "unsettl.", "not exact", "TTFT p50", "p90", "p99 ms", "imbalance");
  for (const auto& [name, policy] : report.policies) {
    absl::StrAppendFormat(&table, "%-20s %8d %6.2f%% | ", name, policy.requests,
                          100 * policy.hit_rate());
    const PredictionCounts& predictions = policy.predictions;
    if (policy.asks_kvroute) {
      absl::StrAppendFormat(&table, "%8d %5d %5d %8d %9d", predictions.equal, predictions.over,
                            predictions.under, predictions.not_settled, predictions.not_exact);
    } else {
      absl::StrAppendFormat(&table, "%8s %5s %5s %8s %9s", "-", "-", "-", "-", "-");
    }
    absl::StrAppendFormat(&table, " | %8.0f %8.0f %8.0f | %9.2f\n", policy.ttft_ms.p50,
                          policy.ttft_ms.p90, policy.ttft_ms.p99, policy.imbalance);
  }
  return table;
}

std::string ToJson(const FleetReport& report) {
  nlohmann::ordered_json json;
  json["trace"] = report.trace;
  json["workers"] = report.workers;
  json["policies"] = nlohmann::ordered_json::object();
  for (const auto& [name, policy] : report.policies) json["policies"][name] = PolicyJson(policy);
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::vector<std::string> BrokenPromises(const FleetReport& report, const Verdict& verdict) {
  std::vector<std::string> broken;
  for (const auto& [name, policy] : report.policies) {
    if (!policy.asks_kvroute) continue;
    const PredictionCounts& predictions = policy.predictions;
    if (predictions.over + predictions.under > 0) {
      broken.push_back(
          absl::StrFormat("%s: %d of %d predictions on exact and settled streams were wrong (%d "
                          "too high, %d too low)",
                          name, predictions.over + predictions.under, predictions.checked(),
                          predictions.over, predictions.under));
    }
    const double share = predictions.total() == 0 ? 0
                                                  : static_cast<double>(predictions.checked()) /
                                                        static_cast<double>(predictions.total());
    if (share < verdict.min_checked_share) {
      broken.push_back(
          absl::StrFormat("%s: only %.1f %% of the predictions were made on exact and settled "
                          "streams, fewer than %.1f %%",
                          name, 100 * share, 100 * verdict.min_checked_share));
    }
    const PolicyReport* const oracle = OracleOf(report, name);
    if (oracle == nullptr) continue;
    const double gap = 100 * std::abs(policy.hit_rate() - oracle->hit_rate());
    if (gap > verdict.max_oracle_gap_points) {
      broken.push_back(
          absl::StrFormat("%s: hit rate %.2f %% is %.2f percentage points from the oracle's %.2f "
                          "%%, more than %.2f",
                          name, 100 * policy.hit_rate(), gap, 100 * oracle->hit_rate(),
                          verdict.max_oracle_gap_points));
    }
  }
  return broken;
}

}  // namespace kvroute
