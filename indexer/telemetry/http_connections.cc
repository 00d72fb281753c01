#include "indexer/telemetry/http_connections.h"

#include <utility>

namespace kvroute {

HttpConnections::~HttpConnections() {
  for (Connection* connection : by_age_) delete connection;
}

HttpConnections::Connection* HttpConnections::Add(int fd, Nanos now) {
  auto* connection = new Connection{.fd = fd, .came_at = now, .place = {}};
  connection->place = by_age_.insert(by_age_.end(), connection);
  ++open_;
  return connection;
}

void HttpConnections::Remove(Connection* connection) {
  Release(connection);
  if (!connection->closing) --open_;
  by_age_.erase(connection->place);
  delete connection;
}

void HttpConnections::Asked(Connection* connection) {
  connection->asks = connection->has_asked = true;
  by_age_.splice(by_age_.end(), by_age_, connection->place);
}

void HttpConnections::Answering(Connection* connection, Body body, Nanos now) {
  Release(connection);
  if (connection->closing) return;
  if (bodies_[body.get()]++ == 0) unsent_bytes_ += body->size();
  connection->unsent = std::move(body);
  connection->answered_at = now;
}

void HttpConnections::Answered(Connection* connection, bool all) {
  Release(connection);
  connection->asks = false;
  connection->has_read |= all;
}

void HttpConnections::Release(Connection* connection) {
  const Body body = std::exchange(connection->unsent, nullptr);
  if (body == nullptr) return;
  const auto it = bodies_.find(body.get());
  if (--it->second != 0) return;
  unsent_bytes_ -= body->size();
  bodies_.erase(it);
}

// Of one that has no place of its own.
int HttpConnections::RankOf(const Connection& connection, Nanos now) {
  if (!connection.has_asked) return now - connection.came_at >= kSilentFor ? 1 : 4;
  if (!connection.asks) return 2;
  return connection.unsent != nullptr ? 3 : 4;
}

HttpConnections::Connection* HttpConnections::LeastMissed(Nanos now) const {
  Connection* least = nullptr;
  int rank = 0;
  size_t readers = 0;
  for (auto it = by_age_.rbegin(); it != by_age_.rend(); ++it) {  // the latest to ask first
    Connection* const connection = *it;
    if (connection->closing) continue;
    int its = 0;
    if (connection->unsent == nullptr || now - connection->answered_at < kUnreadFor) {
      const bool has_place = connection->has_read && ++readers <= max_connections_ / 2;
      its = has_place ? 5 : RankOf(*connection, now);
    }
    if (least != nullptr && its > rank) continue;
    least = connection;
    rank = its;
  }
  return least;
}

HttpConnections::Connection* HttpConnections::OldestUnread(Nanos now) const {
  Connection* oldest = nullptr;
  size_t unread = 0;
  for (Connection* connection : by_age_) {
    if (connection->closing || connection->unsent == nullptr) continue;
    ++unread;
    if (now - connection->answered_at < kFreshFor) continue;
    if (oldest == nullptr || connection->answered_at < oldest->answered_at) oldest = connection;
  }
  return unread > 1 ? oldest : nullptr;
}

int HttpConnections::TakeVictim(Nanos now) {
  Connection* victim = nullptr;
  if (open_ > max_connections_) {
    victim = LeastMissed(now);
  } else if (unsent_bytes_ > max_unsent_bytes_) {
    victim = OldestUnread(now);
  }
  if (victim == nullptr) return -1;
  Release(victim);
  --open_;
  victim->closing = true;
  return victim->fd;
}

}  // namespace kvroute
