#include "indexer/base/error_reason.h"

#include <algorithm>
#include <optional>

#include "indexer/base/api_limits.h"
#include "indexer/base/error.h"
#include "indexer/base/text.h"

namespace kvroute {
namespace {

constexpr char kPayload[] = "kvroute/error_reason";

// The reason's number, then names and values, each ended by NUL: OneLine leaves none in a text.
void Append(std::string_view name, std::string_view value, std::string* payload) {
  payload->append(name);
  payload->push_back('\0');
  payload->append(OneLine(value.substr(0, limits::kMaxErrorFactBytes)));
  payload->push_back('\0');
}

absl::Status SetPayload(absl::Status status, const std::string& payload) {
  status.SetPayload(kPayload, absl::Cord(payload));
  return status;
}

std::string TakeText(std::string_view* rest) {
  const size_t end = std::min(rest->find('\0'), rest->size());
  std::string text(rest->substr(0, end));
  rest->remove_prefix(std::min(end + 1, rest->size()));
  return text;
}

ErrorReason ReasonOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
      return ErrorReason::kInvalidField;
    case absl::StatusCode::kResourceExhausted:
      return ErrorReason::kLimitReached;
    case absl::StatusCode::kDeadlineExceeded:
      return ErrorReason::kDeadlinePassed;
    case absl::StatusCode::kUnauthenticated:
      return ErrorReason::kUnauthenticated;
    case absl::StatusCode::kPermissionDenied:
      return ErrorReason::kPermissionDenied;
    default:
      return ErrorReason::kOther;
  }
}

// "rank_overrides.rank" of "rank_overrides.rank: 3; data_parallel_size is 2".
std::string_view NameBefore(std::string_view message) {
  const auto is_of_a_name = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
  };
  const auto end = std::find_if_not(message.begin(), message.end(), is_of_a_name);
  const auto length = static_cast<size_t>(end - message.begin());
  return message.substr(length, 2) == ": " ? message.substr(0, length) : std::string_view();
}

}  // namespace

absl::Status WithReason(
    absl::Status status, ErrorReason reason,
    std::initializer_list<std::pair<std::string_view, std::string_view>> facts) {
  std::string payload(1, static_cast<char>(reason));
  for (const auto& [name, value] : facts) Append(name, value, &payload);
  return SetPayload(std::move(status), payload);
}

absl::Status WithReason(absl::Status status, ErrorReason reason, const ErrorFacts& facts) {
  std::string payload(1, static_cast<char>(reason));
  for (const auto& [name, value] : facts) Append(name, value, &payload);
  return SetPayload(std::move(status), payload);
}

ErrorDetail DetailOf(const absl::Status& status) {
  ErrorDetail detail;
  const auto said = status.GetPayload(kPayload);
  if (said.has_value() && !said->empty()) {
    const std::string payload(*said);
    detail.reason = static_cast<ErrorReason>(payload.front());
    std::string_view rest = payload;
    rest.remove_prefix(1);
    while (!rest.empty()) {
      std::string name = TakeText(&rest);
      detail.facts.emplace_back(std::move(name), TakeText(&rest));
    }
    return detail;
  }
  detail.reason = ReasonOf(status.code());
  const std::string_view name = NameBefore(MessageOf(status));
  if (name.empty()) return detail;
  if (detail.reason == ErrorReason::kInvalidField) detail.facts = {{"field", std::string(name)}};
  if (detail.reason == ErrorReason::kLimitReached) detail.facts = {{"limit", std::string(name)}};
  return detail;
}

}  // namespace kvroute
