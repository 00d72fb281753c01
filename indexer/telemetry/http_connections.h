#ifndef KVROUTE_INDEXER_TELEMETRY_HTTP_CONNECTIONS_H_
#define KVROUTE_INDEXER_TELEMETRY_HTTP_CONNECTIONS_H_

#include <cstddef>
#include <list>

namespace kvroute {

// Which connections a listener has, and which of them to close when there are too many or when too
// much lies unread in them. Knows descriptors only, so that it is tested without a network.
//
// Thread safety: one thread at a time.
class HttpConnections {
 public:
  struct Connection {
    int fd = -1;
    size_t unsent_bytes = 0;  // of its present answer
    bool closing = false;
    std::list<Connection*>::iterator place;  // in order of the last request
  };

  HttpConnections(size_t max_connections, size_t max_unsent_bytes)
      : max_connections_(max_connections), max_unsent_bytes_(max_unsent_bytes) {}
  ~HttpConnections();
  HttpConnections(const HttpConnections&) = delete;
  HttpConnections& operator=(const HttpConnections&) = delete;

  Connection* Add(int fd);
  void Remove(Connection* connection);
  // It has sent a request.
  void Asked(Connection* connection);
  // It is being sent an answer of so many bytes; 0: it has got all of it.
  void Answering(Connection* connection, size_t bytes);

  // The descriptor of a connection to close now; -1: none. Each is named once.
  int TakeVictim();

 private:
  Connection* Oldest(bool unsent) const;

  const size_t max_connections_;
  const size_t max_unsent_bytes_;
  std::list<Connection*> by_age_;  // silent for longest first
  size_t open_ = 0;                // not closing
  size_t unsent_bytes_ = 0;        // of those
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_TELEMETRY_HTTP_CONNECTIONS_H_
