#ifndef KVROUTE_INDEXER_EVENT_MEDIUM_H_
#define KVROUTE_INDEXER_EVENT_MEDIUM_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "indexer/event/event.h"

namespace kvroute {

// A medium of one deployment, and the tier that it is.
struct MediumTier {
  std::string medium;
  Tier tier = Tier::kExternal;

  bool operator==(const MediumTier&) const = default;
};

// Whether two names are one medium: in any letter case, with - for _, and with or without the
// number of a device behind a colon ("cuda:0").
bool SameMedium(std::string_view a, std::string_view b);

// The tier of a published medium: what `additions` say, else what is known of the field; kUnknown
// for a name that nobody we know of uses.
Tier TierOfAnyMedium(std::string_view medium, absl::Span<const MediumTier> additions);
inline Tier TierOfMedium(std::string_view medium, absl::Span<const MediumTier> additions = {}) {
  // nearly every event
  if (additions.empty() && medium == "GPU") return Tier::kGpu;
  return TierOfAnyMedium(medium, additions);
}

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_EVENT_MEDIUM_H_
