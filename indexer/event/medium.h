#ifndef KVROUTE_INDEXER_EVENT_MEDIUM_H_
#define KVROUTE_INDEXER_EVENT_MEDIUM_H_

#include <string_view>

#include "indexer/event/event.h"

namespace kvroute {

// The tier of a published medium, in any letter case; kUnknown for one that no engine we know of
// uses.
Tier TierOfMedium(std::string_view medium);

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_EVENT_MEDIUM_H_
