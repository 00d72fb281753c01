#ifndef KVROUTE_INDEXER_SOURCE_LOAD_SOURCE_H_
#define KVROUTE_INDEXER_SOURCE_LOAD_SOURCE_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "indexer/base/enum_names.h"

namespace kvroute {

// What an engine said last of its load. Each member is right for itself; two read one after the
// other may be of different moments.
struct PushedLoad {
  std::atomic<int64_t> at_ns{0};  // when it came, Clock::Monotonic; 0: nothing has come yet
  std::atomic<uint32_t> running{0};
  std::atomic<uint32_t> waiting{0};
  std::atomic<uint64_t> used_tokens{0};
  std::atomic<uint64_t> capacity_tokens{0};  // 0: it does not know
};

// What came of a message on a load's socket. Metric label values.
enum class LoadMessage : uint8_t {
  kTaken,
  kMalformed,  // no load that could be read
  kFrames,     // not [topic, number, payload]
};
inline constexpr auto kLoadMessageNames =
    NamesUpTo<LoadMessage::kFrames>("taken", "malformed", "frames");

struct LoadSourceCounts {
  std::array<std::atomic<uint64_t>, kLoadMessageNames.size()> messages{};
};

// Where engines' own words of their load come from, pushed as they change. Beside EventSource:
// SGLang publishes both, on sockets of their own.
//
// Thread safety: every method from any thread. Errors: INVALID_ARGUMENT for an endpoint that nobody
// can connect to; RESOURCE_EXHAUSTED without the descriptors that a socket takes.
class LoadSource {
 public:
  virtual ~LoadSource() = default;

  // Begins to receive from "tcp://host:port"; what comes shows in the load. A connection that is
  // lost is made again.
  virtual absl::StatusOr<std::shared_ptr<const PushedLoad>> FollowLoad(
      const std::string& endpoint) = 0;
  // Ends it; unknown ones are ignored.
  virtual void LeaveLoad(const PushedLoad* load) = 0;
  virtual const LoadSourceCounts& load_counts() const = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_LOAD_SOURCE_H_
