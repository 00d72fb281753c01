#include "tools/fleet/report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"

namespace kvroute {
namespace {

constexpr std::array<const char*, kPhaseCount> kPhaseNames = {"simulating", "waiting", "deciding",
                                                              "publishing"};

double Seconds(Nanos time) { return std::chrono::duration<double>(time).count(); }

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
  for (size_t i = 0; i < kPhaseCount; ++i) {
    json["seconds"][kPhaseNames[i]] = Seconds(policy.phases[i]);
  }
  json["max_behind_ms"] = policy.max_behind_ms;
  if (policy.route_p99_us > 0)
    json["route_us"] = {{"p50", policy.route_p50_us}, {"p99", policy.route_p99_us}};
  return json;
}

// Of the predictions, those made on exact and settled streams.
double CheckedShare(const PredictionCounts& predictions) {
  if (predictions.total() == 0) return 0;
  return static_cast<double>(predictions.checked()) / static_cast<double>(predictions.total());
}

void JudgePredictions(const std::string& name, const PolicyReport& policy, double min_checked_share,
                      std::vector<std::string>* broken) {
  const PredictionCounts& predictions = policy.predictions;
  if (predictions.over + predictions.under > 0) {
    broken->push_back(
        absl::StrFormat("%s: %d of %d predictions on exact and settled streams were wrong (%d "
                        "too high, %d too low)",
                        name, predictions.over + predictions.under, predictions.checked(),
                        predictions.over, predictions.under));
  }
  const double share = CheckedShare(predictions);
  if (share < min_checked_share) {
    broken->push_back(
        absl::StrFormat("%s: only %.1f %% of the predictions were made on exact and settled "
                        "streams, fewer than %.1f %%",
                        name, 100 * share, 100 * min_checked_share));
  }
}

void JudgeGap(const std::string& name, const PolicyReport& policy, const PolicyReport& oracle,
              double max_gap_points, std::vector<std::string>* broken) {
  const double gap = 100 * std::abs(policy.hit_rate() - oracle.hit_rate());
  if (gap <= max_gap_points) return;
  broken->push_back(
      absl::StrFormat("%s: hit rate %.2f %% is %.2f percentage points from the oracle's %.2f "
                      "%%, more than %.2f",
                      name, 100 * policy.hit_rate(), gap, 100 * oracle.hit_rate(), max_gap_points));
}

// Names the first decision that differs.
void JudgeDecisions(const FleetReport& report, const std::string& name, const PolicyReport& policy,
                    const PolicyReport& oracle, std::vector<std::string>* broken) {
  const DecisionComparison comparison = CompareDecisions(policy.decisions, oracle.decisions);
  if (!comparison.first_different.has_value()) return;
  const size_t first = *comparison.first_different;
  if (first >= policy.decisions.size() || first >= oracle.decisions.size()) {
    broken->push_back(absl::StrFormat("%s: %d decisions, the oracle made %d", name,
                                      policy.decisions.size(), oracle.decisions.size()));
    return;
  }
  const DecisionRecord& ours = policy.decisions[first];
  DecisionRecord tied = oracle.decisions[first];
  broken->push_back(absl::StrCat(name, ": request ", first, " is the first whose decision is not ",
                                 "the oracle's: kvroute chose ",
                                 DescribeDecision(ours, report.ranks), "; the oracle chose ",
                                 DescribeDecision(tied, report.ranks)));
  tied.target = ours.target;
  if (ours == tied) {
    absl::StrAppend(&broken->back(), " (a tie: does kvroute serve with --set ",
                    "routing.tie_break_seed=", report.seed, "?)");
  }
}

}  // namespace

const PolicyReport* FleetReport::OracleOf(const std::string& policy) const {
  absl::string_view name(policy);
  absl::ConsumePrefix(&name, "kvroute:");
  const std::string oracle = absl::StrCat("oracle:", name);
  for (const auto& [other, result] : policies) {
    if (other == oracle) return &result;
  }
  return nullptr;
}

std::string ToTable(const FleetReport& report) {
  std::string table =
      absl::StrFormat("%-20s %8s %7s | %8s %5s %5s %8s %9s %9s | %8s %8s %8s | %9s\n", "policy",
                      "requests", "hits", "equal", "over", "under", "unsettl.", "not exact",
                      "as oracle", "TTFT p50", "p90", "p99 ms", "imbalance");
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
    const PolicyReport* const oracle = policy.asks_kvroute ? report.OracleOf(name) : nullptr;
    absl::StrAppendFormat(
        &table, " %9s",
        oracle == nullptr
            ? "-"
            : absl::StrCat(CompareDecisions(policy.decisions, oracle->decisions).equal));
    absl::StrAppendFormat(&table, " | %8.0f %8.0f %8.0f | %9.2f\n", policy.ttft_ms.p50,
                          policy.ttft_ms.p90, policy.ttft_ms.p99, policy.imbalance);
  }
  return table;
}

std::string ToTimes(const FleetReport& report) {
  std::string lines = absl::StrFormat("%-20s %8s | %8s %8s %10s %10s\n", "seconds", "run",
                                      "waiting", "deciding", "publishing", "simulating");
  for (const auto& [name, policy] : report.policies) {
    const auto at = [&policy = policy](Phase phase) {
      return Seconds(policy.phases[static_cast<size_t>(phase)]);
    };
    absl::StrAppendFormat(&lines, "%-20s %8.1f | %8.1f %8.1f %10.1f %10.1f\n", name,
                          policy.wall_seconds, at(Phase::kWaiting), at(Phase::kDeciding),
                          at(Phase::kPublishing), at(Phase::kSimulating));
  }
  return lines;
}

std::string ToLag(const FleetReport& report) {
  std::string lines;
  for (const auto& [name, policy] : report.policies) {
    const PolicyReport* const oracle = policy.asks_kvroute ? report.OracleOf(name) : nullptr;
    if (oracle == nullptr) continue;
    absl::StrAppendFormat(&lines,
                          "lag moved %s: hit rate %+.2f percentage points, TTFT p50 %+.0f ms, p90 "
                          "%+.0f ms, p99 %+.0f ms\n",
                          name, 100 * (policy.hit_rate() - oracle->hit_rate()),
                          policy.ttft_ms.p50 - oracle->ttft_ms.p50,
                          policy.ttft_ms.p90 - oracle->ttft_ms.p90,
                          policy.ttft_ms.p99 - oracle->ttft_ms.p99);
  }
  return lines;
}

std::string ToJson(const FleetReport& report) {
  nlohmann::ordered_json json;
  json["trace"] = report.trace;
  json["workers"] = report.workers;
  json["policies"] = nlohmann::ordered_json::object();
  for (const auto& [name, policy] : report.policies) {
    json["policies"][name] = PolicyJson(policy);
    const PolicyReport* const oracle = policy.asks_kvroute ? report.OracleOf(name) : nullptr;
    if (oracle == nullptr) continue;
    json["policies"][name]["decisions_as_oracle"] =
        CompareDecisions(policy.decisions, oracle->decisions).equal;
  }
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::vector<std::string> BrokenPromises(const FleetReport& report, const Verdict& verdict) {
  std::vector<std::string> broken;
  for (const auto& [name, policy] : report.policies) {
    if (!policy.asks_kvroute) continue;
    const PolicyReport* const oracle = report.OracleOf(name);
    switch (report.judged) {
      case Judged::kEveryDecision:
        JudgePredictions(name, policy, 1, &broken);
        if (oracle != nullptr) JudgeDecisions(report, name, policy, *oracle, &broken);
        break;
      case Judged::kByBounds:
        JudgePredictions(name, policy, verdict.min_checked_share, &broken);
        if (oracle != nullptr) {
          JudgeGap(name, policy, *oracle, verdict.max_oracle_gap_points, &broken);
        }
        break;
      case Judged::kNothingElse:
        JudgePredictions(name, policy, 0, &broken);
        break;
    }
  }
  return broken;
}

}  // namespace kvroute
