#ifndef KVROUTE_INDEXER_BASE_ERROR_REASON_H_
#define KVROUTE_INDEXER_BASE_ERROR_REASON_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "indexer/base/enum_names.h"

namespace kvroute {

// Why something was refused, for programs: the message is for people and may change, a reason stays
// what it is. docs/api.md says of each what it means, with which code it comes and what may be
// done.
enum class ErrorReason : uint8_t {
  kInvalidField,
  kMalformedRequest,
  kModelNotNamed,
  kUnknownModel,
  kUnknownWorker,
  kUnknownService,
  kNoWorkers,
  kNoEligibleWorker,
  kRequestIdInUse,
  kOtherOwner,
  kEndpointInUse,
  kLaterIncarnation,
  kLimitReached,
  kDeadlinePassed,
  kServerEnds,
  kUnauthenticated,
  kPermissionDenied,
  kOther,
};
inline constexpr auto kErrorReasonNames = NamesUpTo<ErrorReason::kOther>(
    "INVALID_FIELD", "MALFORMED_REQUEST", "MODEL_NOT_NAMED", "UNKNOWN_MODEL", "UNKNOWN_WORKER",
    "UNKNOWN_SERVICE", "NO_WORKERS", "NO_ELIGIBLE_WORKER", "REQUEST_ID_IN_USE", "OTHER_OWNER",
    "ENDPOINT_IN_USE", "LATER_INCARNATION", "LIMIT_REACHED", "DEADLINE_PASSED", "SERVER_ENDS",
    "UNAUTHENTICATED", "PERMISSION_DENIED", "OTHER");

// What belongs to a reason: names, and values that may come from outside.
using ErrorFacts = std::vector<std::pair<std::string, std::string>>;

struct ErrorDetail {
  ErrorReason reason = ErrorReason::kOther;
  ErrorFacts facts;
};

// `status`, which is an error, with its reason. Each value is one line of text afterwards, of
// kMaxErrorFactBytes at most; names have no NUL.
absl::Status WithReason(
    absl::Status status, ErrorReason reason,
    std::initializer_list<std::pair<std::string_view, std::string_view>> facts = {});
absl::Status WithReason(absl::Status status, ErrorReason reason, const ErrorFacts& facts);

// What WithReason said of an error. Of any other its code decides: a field that is wrong and a
// limit that is reached stand at the beginning of the message ("candidates: ..."), and are its
// fact `field` or `limit`.
ErrorDetail DetailOf(const absl::Status& status);

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_ERROR_REASON_H_
