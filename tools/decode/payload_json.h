#ifndef KVROUTE_TOOLS_DECODE_PAYLOAD_JSON_H_
#define KVROUTE_TOOLS_DECODE_PAYLOAD_JSON_H_

#include <string>
#include <string_view>

#include "indexer/event/decoder.h"

namespace kvroute {

// The JSON line of `kvroute decode` for one payload: valid JSON whatever the bytes are.
// docs/wire-format.md lists its members.
std::string DecodedJson(std::string_view file, const DecodedBatch& batch);
std::string RejectedJson(std::string_view file, std::string_view reason);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_DECODE_PAYLOAD_JSON_H_
