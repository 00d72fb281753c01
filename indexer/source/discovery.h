#ifndef KVROUTE_INDEXER_SOURCE_DISCOVERY_H_
#define KVROUTE_INDEXER_SOURCE_DISCOVERY_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "indexer/stream/stream.h"

namespace kvroute {

// A stream that a source heard of by itself: an engine connected to a listener.
struct DiscoveredStream {
  std::string topic;
  std::string host;  // <pod>[:port]
  std::string model;
  std::shared_ptr<const StreamStatus> status;
};

// Runs on a lane thread, once for each new topic, and must not block. False: the stream is not
// wanted. It is closed, and offered again at the earliest after kRefusalHolds.
using OnDiscovered = std::function<bool(const DiscoveredStream&)>;
inline constexpr std::chrono::seconds kRefusalHolds{10};

// Runs on a lane thread and must not block: the stream that was discovered has expired and is
// closed next. Should its topic be heard again, it is discovered anew.
using OnExpired = std::function<void(StreamId)>;

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_DISCOVERY_H_
