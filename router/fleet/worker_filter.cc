#include "router/fleet/worker_filter.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/escaping.h"
#include "indexer/base/error.h"
#include "indexer/base/limits.h"

namespace kvroute {
namespace {

using Place = std::pair<std::string, std::string>;  // model and worker id

std::string TokenOf(const WorkerSpec& spec) {
  return absl::WebSafeBase64Escape(spec.model + '\n' + spec.worker_id);
}

absl::StatusOr<Place> ReadToken(std::string_view token) {
  std::string text;
  const bool is_base64 =
      token.size() <= 2 * (limits::kMaxModelBytes + limits::kMaxWorkerIdBytes) &&
      absl::WebSafeBase64Unescape(absl::string_view(token.data(), token.size()), &text);
  const size_t end = is_base64 ? text.find('\n') : std::string::npos;
  if (end == std::string::npos) return InvalidArgument("page_token: none of List's");
  return Place(text.substr(0, end), text.substr(end + 1));
}

bool IsBehind(const FleetTarget& target, const Place& place) {
  const WorkerSpec& spec = target.worker->spec;
  return std::tie(spec.model, spec.worker_id) > std::tie(place.first, place.second);
}

}  // namespace

absl::Status WorkerFilter::Validate() const {
  if (model.size() > limits::kMaxModelBytes) {
    return InvalidArgument("filter.model: {} bytes; the limit is {}", model.size(),
                           limits::kMaxModelBytes);
  }
  if (worker_id_prefix.size() > limits::kMaxWorkerIdBytes) {
    return InvalidArgument("filter.worker_id_prefix: {} bytes; the limit is {}",
                           worker_id_prefix.size(), limits::kMaxWorkerIdBytes);
  }
  if (absl::Status status = ValidateLabels(labels); !status.ok()) {
    return InvalidArgument("filter.{}", MessageOf(status));
  }
  return absl::OkStatus();
}

bool WorkerFilter::Matches(const FleetWorker& worker) const {
  const WorkerSpec& spec = worker.spec;
  const auto has = [](const auto& list, const auto& item) {
    return std::find(list.begin(), list.end(), item) != list.end();
  };
  if (!model.empty() && spec.model != model && !has(spec.served_names, model)) return false;
  if (!sources.empty() && !has(sources, worker.source)) return false;
  if (!std::string_view(spec.worker_id).starts_with(worker_id_prefix)) return false;
  return std::all_of(labels.begin(), labels.end(), [&](const auto& label) {
    const auto it = spec.labels.find(label.first);
    return it != spec.labels.end() && it->second == label.second;
  });
}

absl::StatusOr<WorkerPage> PageOfWorkers(const FleetSnapshot& fleet, const WorkerFilter& filter,
                                         size_t limit, std::string_view token) {
  const std::vector<FleetTarget>& targets = fleet.targets;
  uint32_t next = 0;
  if (!token.empty()) {
    const absl::StatusOr<Place> place = ReadToken(token);
    if (!place.ok()) return place.status();
    const auto behind =
        std::partition_point(targets.begin(), targets.end(),
                             [&](const auto& target) { return !IsBehind(target, *place); });
    next = static_cast<uint32_t>(behind - targets.begin());
  }
  WorkerPage page;
  for (; next < targets.size(); next += targets[next].worker->spec.data_parallel_size) {
    if (!filter.Matches(*targets[next].worker)) continue;
    if (limit != 0 && page.workers.size() == limit) {
      page.next_token = TokenOf(targets[page.workers.back()].worker->spec);
      break;
    }
    page.workers.push_back(next);
  }
  return page;
}

}  // namespace kvroute
