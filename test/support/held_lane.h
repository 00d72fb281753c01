#ifndef KVROUTE_TEST_SUPPORT_HELD_LANE_H_
#define KVROUTE_TEST_SUPPORT_HELD_LANE_H_

#include <atomic>
#include <memory>
#include <thread>

#include "indexer/base/check.h"
#include "indexer/source/zmq/zmq_source.h"
#include "test/support/reserved_port.h"
#include "tools/publisher/zmq_publisher.h"

namespace kvroute {

// For tests: keeps the one lane of a source from working, inside a listener's callback, until it
// is released or goes.
class HeldLane {
 public:
  HeldLane(ZmqSource* source, ZmqContext* sockets) {
    const absl::Status listens = source->AddListener(
        {.endpoint = port_.endpoint()},
        [state = state_](const DiscoveredStream&) {
          state->held = true;
          while (!state->released) std::this_thread::yield();
          return true;
        },
        nullptr);
    KVROUTE_CHECK(listens.ok());
    engine_ = *ZmqPublisher::Create(sockets, {.event_endpoint = port_.endpoint(),
                                              .replay_endpoint = "",
                                              .connect = true,
                                              .topic = "kv@held@lane"});
  }
  ~HeldLane() { Release(); }
  HeldLane(const HeldLane&) = delete;
  HeldLane& operator=(const HeldLane&) = delete;

  // To be asked until it is so.
  bool Holds() {
    engine_->Publish("x");
    return state_->held;
  }
  void Release() { state_->released = true; }

 private:
  struct State {
    std::atomic<bool> held{false};
    std::atomic<bool> released{false};
  };
  const ReservedPort port_;
  const std::shared_ptr<State> state_ = std::make_shared<State>();
  std::unique_ptr<ZmqPublisher> engine_;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_HELD_LANE_H_
