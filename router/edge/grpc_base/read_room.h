#ifndef KVROUTE_ROUTER_EDGE_GRPC_BASE_READ_ROOM_H_
#define KVROUTE_ROUTER_EDGE_GRPC_BASE_READ_ROOM_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <utility>
#include <vector>

#include "indexer/base/clock.h"
#include "router/edge/grpc_base/connection.h"
#include "router/edge/grpc_base/event_loop.h"
#include "router/route/routing_stats.h"

namespace kvroute {

// A call whose request is to be read.
class RequestReader {
 public:
  virtual ~RequestReader() = default;
  virtual void MayRead() = 0;

 private:
  friend class ReadRoom;
  RequestReader* next_ = nullptr;  // of the same connection that waits
};

// Which requests of unary calls are read at a time. How long one is nobody knows before it is
// there, and once its reading has begun gRPC takes all of it: so those that may be long are begun
// only while there is room for the longest, and others wait, each with at most a stream's window
// (64 KiB) of it here. Short requests do not wait for long ones of other connections.
//
// A connection may have kMostYoung reads under way that nobody has looked at yet. One that has sent
// long requests lately begins further ones while, with the longest request for each that is being
// read and for the new one, all stay within the limit, or none is under way. One that is read for
// more than kQuick counts as what is here of it: a slow client keeps nobody waiting.
//
// It looks at what is being read every kLookEvery, on the thread on which gRPC reads it, so that no
// more comes between two looks than this thread can take in; when that is beyond the limit, who has
// most is cut off.
//
// Thread safety: the event loop's. Ownership: connections must outlive their reads.
class ReadRoom final : public OftenLooked {
 public:
  struct Parts {
    uint64_t max_bytes = 0;      // of requests that are not whole; 0: no limit
    uint64_t longest_bytes = 0;  // that one may be
    // What is as good as being read: requests that wait to be answered, or whose connection has
    // gone and that gRPC has not let go of yet.
    std::function<uint64_t()> others;
    std::function<void(Connection*)> cut;
    RoutingStats* stats = nullptr;
    const Clock* clock = &Clock::Real();
  };
  static constexpr uint32_t kMostYoung = 4;
  static constexpr uint32_t kShortInARow = 64;  // and it does not count as one that sends long ones
  static constexpr std::chrono::milliseconds kQuick{500};

  explicit ReadRoom(Parts parts) : parts_(std::move(parts)) {}

  // MayRead comes at once or later; after it End must. `connection` may be null: it is gone.
  void Begin(Connection* connection, RequestReader* reader);
  // The request is there, or never will be.
  void End(Connection* connection, uint64_t bytes);

  bool LooksWanted() const override { return !reading_.empty() || !waiting_.empty(); }
  void Look() override;

 private:
  bool HasRoom(const Connection& connection) const;
  uint64_t Reckoned(const Connection& connection, Nanos now) const;
  void Wait(Connection* connection, RequestReader* reader);
  void Admit(Connection* connection, RequestReader* reader);
  void AdmitNextOf(Connection* connection);
  void AdmitWaitingOf(Connection* connection);
  void AdmitWaiting();
  void CutMost(uint64_t bytes);

  const Parts parts_;
  std::vector<Connection*> reading_;  // those with reads under way
  std::deque<Connection*> waiting_;   // those with calls that wait, each once
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_BASE_READ_ROOM_H_
