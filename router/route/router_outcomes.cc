// What becomes of routed requests, as their clients tell.
#include <memory>
#include <optional>
#include <string_view>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "router/route/request_id.h"
#include "router/route/router.h"

namespace kvroute {
namespace {

absl::Status CheckCount(std::string_view field, const std::optional<uint64_t>& count) {
  if (count.value_or(0) <= limits::kMaxPromptTokens) return absl::OkStatus();
  return InvalidArgument("{}: {}; the limit is {}", field, *count, limits::kMaxPromptTokens);
}

// An engine tells it at the end, and no engine has cached more than there was.
absl::Status CheckUsage(const ResponseUsage& usage, Progress progress) {
  if (usage.empty()) return absl::OkStatus();
  KVROUTE_RETURN_IF_ERROR(CheckCount("prompt_tokens", usage.prompt_tokens));
  KVROUTE_RETURN_IF_ERROR(CheckCount("cached_tokens", usage.cached_tokens));
  KVROUTE_RETURN_IF_ERROR(CheckCount("output_tokens", usage.output_tokens));
  if (usage.cached_tokens && usage.prompt_tokens && *usage.cached_tokens > *usage.prompt_tokens) {
    return InvalidArgument("cached_tokens: {}, more than prompt_tokens: {}", *usage.cached_tokens,
                           *usage.prompt_tokens);
  }
  if (progress == Progress::kEnded) return absl::OkStatus();
  const std::string_view field = usage.prompt_tokens   ? "prompt_tokens"
                                 : usage.cached_tokens ? "cached_tokens"
                                                       : "output_tokens";
  return InvalidArgument("{}: told with PROGRESS_ENDED (2) only", field);
}

}  // namespace

absl::StatusOr<bool> Router::EndOrAdvance(const Outcome& outcome) {
  if (outcome.request_id.empty()) return InvalidArgument("request_id: empty");
  KVROUTE_RETURN_IF_ERROR(CheckRequestId(outcome.request_id));
  KVROUTE_RETURN_IF_ERROR(CheckUsage(outcome.answer.usage, outcome.progress));
  switch (outcome.progress) {
    case Progress::kPrefilled:
      return loads_->Prefilled(outcome.request_id, outcome.client);
    case Progress::kEnded:
      return End(outcome);
    case Progress::kRunning:
      return loads_->Renew(outcome.request_id, outcome.client);
    default:
      return InvalidArgument(
          "progress: {}; must be PROGRESS_PREFILLED (1), PROGRESS_ENDED (2) or PROGRESS_RUNNING "
          "(3)",
          static_cast<int>(outcome.progress));
  }
}

bool Router::End(const Outcome& outcome) {
  EndedLease lease;
  if (!loads_->End(outcome.request_id, outcome.client, &lease)) return false;
  CountAnswer(outcome.answer, lease, &stats_->audit);
  return true;
}

bool Router::Moved(std::string_view request_id, const Endpoint& served, const ClientId& client) {
  const std::shared_ptr<const FleetSnapshot> fleet = fleet_->Snapshot();
  for (const FleetTarget& target : fleet->targets) {
    if (target.worker->EndpointOf(target.rank) != served) continue;
    return loads_->Move(request_id, target.load, client);
  }
  return false;
}

absl::StatusOr<bool> Router::Complete(const Outcome& outcome) {
  absl::StatusOr<bool> known = EndOrAdvance(outcome);
  stats_->CountRequest(RpcMethod::kComplete, known.status().code());
  return known;
}

}  // namespace kvroute
