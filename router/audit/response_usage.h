#ifndef KVROUTE_ROUTER_AUDIT_RESPONSE_USAGE_H_
#define KVROUTE_ROUTER_AUDIT_RESPONSE_USAGE_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "indexer/base/enum_names.h"
#include "router/load/load_tracker.h"

namespace kvroute {

// What an engine says of a request that it has served. Absent is not 0: engines leave out what they
// were not told to count.
struct ResponseUsage {
  std::optional<uint64_t> prompt_tokens;
  std::optional<uint64_t> cached_tokens;  // of them, those that its cache had
  std::optional<uint64_t> output_tokens;

  bool operator==(const ResponseUsage&) const = default;
  bool empty() const { return !prompt_tokens && !cached_tokens && !output_tokens; }
};

// Whether a response's usage is known, and if not, why. A name is a metric's label.
enum class UsageEnd : uint8_t {
  kFound,
  kAbsent,      // it has no usage
  kCompressed,  // passed over: its content-encoding is no plain text
  kOtherType,   // neither JSON nor an event stream
  kTooLong,     // none was found, and a line was too long to be looked through
  kMemory,      // what has to be kept of it would be more than there is memory for
  kFailed,      // its status says that the request failed
  kCut,         // it broke off, or never came
  kNotShown,    // whoever asks does not see it
  kNotTold,     // it is the client's to tell, who did not
};
inline constexpr auto kUsageEndNames =
    NamesUpTo<UsageEnd::kNotTold>("found", "absent", "compressed", "other_type", "too_long",
                                  "memory", "failed", "cut", "not_shown", "not_told");

struct AnswerUsage {
  ResponseUsage usage = {};
  UsageEnd end = UsageEnd::kNotTold;
  // Who computed the prompt for the engine that answered, and what was predicted of that one's
  // cache: cached_tokens are of it. nullptr: the engine did so itself.
  std::shared_ptr<const EndedLease> prefilled_by = {};
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_AUDIT_RESPONSE_USAGE_H_
