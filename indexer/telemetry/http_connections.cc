#include "indexer/telemetry/http_connections.h"

namespace kvroute {

HttpConnections::~HttpConnections() {
  for (Connection* connection : by_age_) delete connection;
}

HttpConnections::Connection* HttpConnections::Add(int fd) {
  auto* connection = new Connection{.fd = fd, .place = {}};
  connection->place = by_age_.insert(by_age_.end(), connection);
  ++open_;
  return connection;
}

void HttpConnections::Remove(Connection* connection) {
  Answering(connection, 0);
  if (!connection->closing) --open_;
  by_age_.erase(connection->place);
  delete connection;
}

void HttpConnections::Asked(Connection* connection) {
  by_age_.splice(by_age_.end(), by_age_, connection->place);
}

void HttpConnections::Answering(Connection* connection, size_t bytes) {
  if (!connection->closing) unsent_bytes_ = unsent_bytes_ - connection->unsent_bytes + bytes;
  connection->unsent_bytes = bytes;
}

HttpConnections::Connection* HttpConnections::Oldest(bool unsent) const {
  for (Connection* connection : by_age_) {
    if (!connection->closing && (!unsent || connection->unsent_bytes != 0)) return connection;
  }
  return nullptr;
}

int HttpConnections::TakeVictim() {
  Connection* victim = nullptr;
  if (open_ > max_connections_) {
    victim = Oldest(/*unsent=*/false);
  } else if (unsent_bytes_ > max_unsent_bytes_) {
    victim = Oldest(/*unsent=*/true);
  }
  if (victim == nullptr) return -1;
  unsent_bytes_ -= victim->unsent_bytes;
  --open_;
  victim->closing = true;
  return victim->fd;
}

}  // namespace kvroute
