#ifndef KVROUTE_INDEXER_BASE_CONNECT_TROUBLE_H_
#define KVROUTE_INDEXER_BASE_CONNECT_TROUBLE_H_

#include <cstdint>
#include <string_view>

#include "indexer/base/enum_names.h"

namespace kvroute {

// Why a stream has no connection to its engine, as far as it can be told from here.
enum class ConnectTrouble : uint8_t {
  kNone,         // it is connected, or it has not been tried for long enough
  kNoSuchHost,   // the name has no address
  kNameServer,   // whoever knows names does not answer, or cannot now
  kRefused,      // nothing listens at the port
  kNoAnswer,     // nothing comes back: a firewall, a machine that is off
  kUnreachable,  // there is no way to the address
  kHandshake,    // the port takes connections, and no ZeroMQ handshake is completed
  kDescriptors,  // this process has no file descriptor left
  kNotAllowed,   // the name has no address that a client of the API may name
  kOther,
};
inline constexpr auto kConnectTroubleNames = NamesUpTo<ConnectTrouble::kOther>(
    "none", "no_such_host", "name_server", "refused", "no_answer", "unreachable", "handshake",
    "descriptors", "not_allowed", "other");
inline constexpr size_t kConnectTroubleCount = kConnectTroubleNames.size();
inline std::string_view ConnectTroubleName(ConnectTrouble trouble) {
  return kConnectTroubleNames[trouble];
}

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_CONNECT_TROUBLE_H_
