#include "tools/fleet/misbehaviour.h"

#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace kvroute {
namespace {

constexpr std::array<std::pair<absl::string_view, MisbehaviourKind>, 9> kKinds = {{
    {"drop", MisbehaviourKind::kDrop},
    {"lose", MisbehaviourKind::kLose},
    {"corrupt", MisbehaviourKind::kCorrupt},
    {"duplicate", MisbehaviourKind::kDuplicate},
    {"restart", MisbehaviourKind::kRestart},
    {"renumber", MisbehaviourKind::kRenumber},
    {"clear", MisbehaviourKind::kClear},
    {"pause", MisbehaviourKind::kPause},
    {"cut", MisbehaviourKind::kCut},
}};

std::optional<MisbehaviourKind> ParseKind(absl::string_view name) {
  for (const auto& [known, kind] : kKinds) {
    if (known == name) return kind;
  }
  return std::nullopt;
}

// "w3" or "w3.1".
bool ParseTarget(absl::string_view text, Misbehaviour* result) {
  if (!absl::ConsumePrefix(&text, "w")) return false;
  const std::vector<absl::string_view> parts = absl::StrSplit(text, '.');
  if (parts.size() > 2 || !absl::SimpleAtoi(parts[0], &result->worker)) return false;
  return parts.size() == 1 || absl::SimpleAtoi(parts[1], &result->rank);
}

bool ParseTime(absl::string_view text, Nanos* at) {
  double seconds = 0;
  if (!absl::ConsumeSuffix(&text, "s") || !absl::SimpleAtod(text, &seconds)) return false;
  if (!(seconds >= 0 && seconds <= 1e8)) return false;
  *at = std::chrono::duration_cast<Nanos>(std::chrono::duration<double>(seconds));
  return true;
}

bool Parse(absl::string_view text, Misbehaviour* result) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ':');
  if (parts.size() < 2 || parts.size() > 3) return false;
  const auto kind = ParseKind(parts[0]);
  const std::vector<absl::string_view> place = absl::StrSplit(parts[1], '@');
  if (!kind.has_value() || place.size() != 2) return false;
  result->kind = *kind;
  if (!ParseTarget(place[0], result) || !ParseTime(place[1], &result->at)) return false;
  return parts.size() == 2 ||
         (absl::SimpleAtoi(parts[2], &result->amount) && result->amount <= 1'000'000);
}

}  // namespace

absl::StatusOr<Misbehaviour> ParseMisbehaviour(const std::string& text) {
  Misbehaviour result;
  if (Parse(text, &result)) return result;
  return absl::InvalidArgumentError(absl::StrCat(
      "misbehaviour \"", text,
      "\" is not KIND:wWORKER[.RANK]@SECONDSs[:AMOUNT] (amount at most 1000000) with KIND one of ",
      "drop, lose, corrupt, duplicate, restart, renumber, clear, pause, cut"));
}

}  // namespace kvroute
