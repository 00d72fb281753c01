#ifndef KVROUTE_INDEXER_EVENT_TEXT_H_
#define KVROUTE_INDEXER_EVENT_TEXT_H_

#include <string_view>

#include "indexer/event/event.h"

namespace kvroute {

// Well-formed UTF-8: shortest forms only, no surrogates, nothing above U+10FFFF.
bool IsValidUtf8(std::string_view text);

// The tier of a published medium, in any letter case; kUnknown for one that no engine we know of
// uses.
Tier TierOfMedium(std::string_view medium);

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_EVENT_TEXT_H_
