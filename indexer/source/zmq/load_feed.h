#ifndef KVROUTE_INDEXER_SOURCE_ZMQ_LOAD_FEED_H_
#define KVROUTE_INDEXER_SOURCE_ZMQ_LOAD_FEED_H_

#include <memory>
#include <string>

#include "indexer/base/log.h"
#include "indexer/source/load_source.h"
#include "indexer/source/zmq/event_subscription.h"
#include "indexer/source/zmq/lane_context.h"
#include "indexer/source/zmq/poll_set.h"
#include "indexer/source/zmq/zmq_socket.h"

namespace kvroute {

// The socket of one engine's pushed load: of what has come the newest counts. Found and connected
// to anew, at pauses that double, as long as it is there.
//
// Thread safety: its lane's thread.
class LoadFeed final : public Pollable {
 public:
  LoadFeed(const LaneContext& lane, std::shared_ptr<PushedLoad> load, LoadSourceCounts* counts,
           std::unique_ptr<EventSubscription> subscription, std::string endpoint);
  ~LoadFeed() override;

  bool Work(const Turn& turn) override;
  void Tick() override;

 private:
  void FollowConnection();
  void Take(LoadMessage result, std::string_view why);
  void Find();  // an endpoint that names a host

  const LaneContext lane_;
  const std::shared_ptr<PushedLoad> load_;
  LoadSourceCounts* const counts_;
  const std::unique_ptr<EventSubscription> subscription_;
  const std::string endpoint_;
  std::shared_ptr<const Dialer::Call> dialing_;
  Multipart message_;
  Nanos reconnect_at_{Nanos::max()};
  Nanos reconnect_pause_;
  LogLimiter limiter_{std::chrono::seconds(10)};
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_ZMQ_LOAD_FEED_H_
