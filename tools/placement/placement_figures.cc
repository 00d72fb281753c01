#include "tools/placement/placement_figures.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace kvroute {
namespace {

double MeanOfSamples(const std::vector<double>& samples) {
  if (samples.empty()) return 0;
  return std::accumulate(samples.begin(), samples.end(), 0.0) / static_cast<double>(samples.size());
}

std::vector<uint32_t> ByArrival(absl::Span<const PlacedRequest> requests) {
  std::vector<uint32_t> order(requests.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return requests[a].arrival < requests[b].arrival;
  });
  return order;
}

double ImbalanceOf(const std::vector<uint64_t>& prefilled_tokens) {
  const uint64_t most = *std::max_element(prefilled_tokens.begin(), prefilled_tokens.end());
  const uint64_t sum =
      std::accumulate(prefilled_tokens.begin(), prefilled_tokens.end(), uint64_t{0});
  if (sum == 0) return 1;
  return static_cast<double>(most) * static_cast<double>(prefilled_tokens.size()) /
         static_cast<double>(sum);
}

}  // namespace

PlacementFigures FiguresOf(const PlacementOutcome& outcome, const PlacementWorkload& workload,
                           const FigureOptions& options) {
  PlacementFigures figures;
  std::vector<double> ttft_ms, tpot_ms;
  uint64_t good = 0, cached_tokens = 0;
  const std::vector<uint32_t> order = ByArrival(outcome.requests);
  const auto first = static_cast<size_t>(options.warm_up_share * static_cast<double>(order.size()));
  for (size_t i = 0; i < order.size(); ++i) {
    const PlacedRequest& request = outcome.requests[order[i]];
    cached_tokens += request.cached_tokens;
    if (i < first) continue;
    const double ttft = Ms(request.first_token - request.arrival) + options.first_token_ms;
    const uint32_t further = workload.requests()[order[i]].output_tokens - 1;
    const double tpot = further == 0 ? 0 : Ms(request.end - request.first_token) / further;
    ttft_ms.push_back(ttft);
    if (further > 0) tpot_ms.push_back(tpot);
    if (ttft <= options.ttft_objective_ms && tpot <= options.tpot_objective_ms) ++good;
  }
  figures.requests = ttft_ms.size();
  figures.ttft_mean_ms = MeanOfSamples(ttft_ms);
  figures.tpot_mean_ms = MeanOfSamples(tpot_ms);
  figures.hit_rate =
      workload.prompt_tokens() == 0
          ? 0
          : static_cast<double>(cached_tokens) / static_cast<double>(workload.prompt_tokens());
  if (figures.requests > 0) {
    const Nanos from = outcome.requests[order[first]].arrival;
    const double seconds = std::chrono::duration<double>(outcome.end - from).count();
    figures.goodput_share = static_cast<double>(good) / static_cast<double>(figures.requests);
    figures.goodput_rps = seconds > 0 ? static_cast<double>(good) / seconds : 0;
  }
  figures.ttft_ms = PercentilesOf(std::move(ttft_ms));
  figures.tpot_ms = PercentilesOf(std::move(tpot_ms));
  figures.imbalance = ImbalanceOf(outcome.prefilled_tokens);
  figures.preemptions = static_cast<double>(outcome.preemptions);
  figures.virtual_seconds = std::chrono::duration<double>(outcome.end).count();
  return figures;
}

PlacementFigures MeanOf(absl::Span<const PlacementFigures> repetitions) {
  PlacementFigures mean;
  mean.imbalance = 0;
  const auto share = 1.0 / static_cast<double>(repetitions.size());
  const auto add = [share](Percentiles* sum, const Percentiles& one) {
    sum->p50 += share * one.p50;
    sum->p90 += share * one.p90;
    sum->p99 += share * one.p99;
  };
  for (const PlacementFigures& one : repetitions) {
    mean.requests = one.requests;
    mean.ttft_mean_ms += share * one.ttft_mean_ms;
    add(&mean.ttft_ms, one.ttft_ms);
    mean.tpot_mean_ms += share * one.tpot_mean_ms;
    add(&mean.tpot_ms, one.tpot_ms);
    mean.goodput_share += share * one.goodput_share;
    mean.goodput_rps += share * one.goodput_rps;
    mean.hit_rate += share * one.hit_rate;
    mean.imbalance += share * one.imbalance;
    mean.preemptions += share * one.preemptions;
    mean.virtual_seconds += share * one.virtual_seconds;
  }
  return mean;
}

double SpreadOf(absl::Span<const PlacementFigures> repetitions,
                double (*figure)(const PlacementFigures&)) {
  double least = figure(repetitions[0]), most = least, sum = 0;
  for (const PlacementFigures& one : repetitions) {
    least = std::min(least, figure(one));
    most = std::max(most, figure(one));
    sum += figure(one);
  }
  return sum > 0 ? (most - least) * static_cast<double>(repetitions.size()) / sum : 0;
}

}  // namespace kvroute
