#ifndef KVROUTE_INDEXER_TELEMETRY_HTTP_CONNECTIONS_H_
#define KVROUTE_INDEXER_TELEMETRY_HTTP_CONNECTIONS_H_

#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "indexer/base/clock.h"

namespace kvroute {

// Which connections a listener has, and which of them to close when there are too many or when too
// much lies unread in them. Knows descriptors only, so that it is tested without a network.
//
// Half of the places are for those that have asked and read to the end before, as a scraper does:
// nobody else takes them. Of the others those go first that have not read an answer for kUnreadFor,
// then those that have not asked for kSilentFor, then those that are idle, then those that are
// being sent an answer, then those that wait for one; among equals the oldest. Of answers that lie
// unread the oldest goes first, and the latest never: a reader is done with it long before it is
// the oldest.
//
// Thread safety: one thread at a time.
class HttpConnections {
 public:
  static constexpr Nanos kUnreadFor = std::chrono::milliseconds(300);
  static constexpr Nanos kFreshFor = std::chrono::milliseconds(50);
  static constexpr Nanos kSilentFor = std::chrono::milliseconds(100);

  // Several connections may be sent the same one.
  using Body = std::shared_ptr<const std::string>;

  struct Connection {
    int fd = -1;
    Body unsent = nullptr;  // its present answer
    Nanos came_at{0};
    Nanos answered_at{0};
    bool asks = false;      // a request of it is under way
    bool has_read = false;  // an answer to its end
    bool has_asked = false;
    bool closing = false;
    std::list<Connection*>::iterator place;  // in order of the last request
  };

  HttpConnections(size_t max_connections, size_t max_unsent_bytes)
      : max_connections_(max_connections), max_unsent_bytes_(max_unsent_bytes) {}
  ~HttpConnections();
  HttpConnections(const HttpConnections&) = delete;
  HttpConnections& operator=(const HttpConnections&) = delete;

  Connection* Add(int fd, Nanos now);
  void Remove(Connection* connection);
  // It has sent a request.
  void Asked(Connection* connection);
  // It is being sent an answer.
  void Answering(Connection* connection, Body body, Nanos now);
  // It has got all of it, or never will.
  void Answered(Connection* connection, bool all);

  // The descriptor of a connection to close now; -1: none. Each is named once.
  int TakeVictim(Nanos now);
  // Of answers that are unread, those that several are sent counted once.
  size_t unsent_bytes() const { return unsent_bytes_; }

 private:
  static int RankOf(const Connection& connection, Nanos now);
  Connection* LeastMissed(Nanos now) const;
  Connection* OldestUnread(Nanos now) const;
  void Release(Connection* connection);

  const size_t max_connections_;
  const size_t max_unsent_bytes_;
  std::list<Connection*> by_age_;                           // silent for longest first
  size_t open_ = 0;                                         // not closing
  absl::flat_hash_map<const std::string*, size_t> bodies_;  // how many are sent each
  size_t unsent_bytes_ = 0;                                 // of those
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_TELEMETRY_HTTP_CONNECTIONS_H_
