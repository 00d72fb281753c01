#ifndef KVROUTE_ROUTER_EDGE_HTTP_JSON_MOONCAKE_REPLY_H_
#define KVROUTE_ROUTER_EDGE_HTTP_JSON_MOONCAKE_REPLY_H_

#include <cstdint>

#include "indexer/base/enum_names.h"

namespace kvroute {

// Which of its two forms the answer to a query of Mooncake's clients has.
enum class MooncakeReply : uint8_t {
  kInstances,  // {"instances":{"ID":{…,"gpu":n,…}}}: its C++ service
  kTenant,     // {"TENANT":{"ID":{…,"GPU":n,…}}}: its documentation
};
inline constexpr auto kMooncakeReplyNames =
    NamesUpTo<MooncakeReply::kTenant>("instances", "tenant");

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_HTTP_JSON_MOONCAKE_REPLY_H_
