#include "router/fleet/request_rules.h"

#include <utility>

namespace kvroute {

RequestRules::RequestRules(const std::vector<Objective>& objectives,
                           std::vector<ModelRewrite> rewrites) {
  for (const Objective& objective : objectives) {
    priorities_.try_emplace(objective.name, objective.priority);
  }
  for (ModelRewrite& rewrite : rewrites) {
    if (rewrite.model) {
      by_model_.try_emplace(*std::move(rewrite.model), std::move(rewrite.targets));
    } else if (!any_) {
      any_ = std::move(rewrite.targets);
    }
  }
}

std::optional<int32_t> RequestRules::PriorityOf(std::string_view objective) const {
  const auto it = priorities_.find(absl::string_view(objective.data(), objective.size()));
  if (it == priorities_.end()) return std::nullopt;
  return it->second;
}

std::string_view RequestRules::RewriteOf(std::string_view model, uint64_t random) const {
  const auto it = by_model_.find(absl::string_view(model.data(), model.size()));
  if (it != by_model_.end()) return Draw(it->second, random);
  return any_ ? Draw(*any_, random) : std::string_view();
}

std::string_view RequestRules::Draw(absl::Span<const RewriteTarget> targets, uint64_t random) {
  uint64_t all = 0;
  for (const RewriteTarget& target : targets) all += target.weight;
  if (all == 0) return {};
  uint64_t at = random % all;  // `all` is below 2^33: the bias is nothing
  for (const RewriteTarget& target : targets) {
    if (at < target.weight) return target.model;
    at -= target.weight;
  }
  return {};
}

}  // namespace kvroute
