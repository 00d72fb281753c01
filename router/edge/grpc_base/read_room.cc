#include "router/edge/grpc_base/read_room.h"

#include <algorithm>
#include <utility>

#include "indexer/base/limits.h"

namespace kvroute {

void ReadRoom::Begin(Connection* connection, RequestReader* reader) {
  if (connection == nullptr) return reader->MayRead();
  const bool stands_behind = connection->reads.first_waiting != nullptr;
  if (stands_behind || !HasRoom(*connection)) return Wait(connection, reader);
  Admit(connection, reader);
}

void ReadRoom::Wait(Connection* connection, RequestReader* reader) {
  ConnectionReads& reads = connection->reads;
  parts_.stats->unread_requests.fetch_add(1, std::memory_order_relaxed);
  if (reads.sends_long) parts_.stats->deferred_requests.fetch_add(1, std::memory_order_relaxed);
  reader->next_ = nullptr;
  if (reads.first_waiting == nullptr) {
    reads.first_waiting = reader;
    waiting_.push_back(connection);
  } else {
    reads.last_waiting->next_ = reader;
  }
  reads.last_waiting = reader;
}

void ReadRoom::Admit(Connection* connection, RequestReader* reader) {
  ConnectionReads& reads = connection->reads;
  if (reads.open++ == 0) {
    reads.index = reading_.size();
    reading_.push_back(connection);
  }
  ++reads.young;
  if (reads.sends_long) reads.since = parts_.clock->Monotonic();
  reader->MayRead();
}

void ReadRoom::End(Connection* connection, uint64_t bytes) {
  if (connection == nullptr) return;
  ConnectionReads& reads = connection->reads;
  if (reads.young > 0) --reads.young;
  if (bytes > limits::kMaxShortMessageBytes) {
    reads.sends_long = true;
    reads.short_ones = 0;
  } else if (reads.sends_long && ++reads.short_ones == kShortInARow) {
    reads.sends_long = false;
  }
  const bool was_long = reads.sends_long;
  if (--reads.open == 0) {
    reading_.back()->reads.index = reads.index;
    std::swap(reading_[reads.index], reading_.back());
    reading_.pop_back();
    reads.unfinished_bytes = 0;
  }
  if (waiting_.empty()) return;
  was_long ? AdmitWaiting() : AdmitWaitingOf(connection);
}

bool ReadRoom::HasRoom(const Connection& connection) const {
  const ConnectionReads& reads = connection.reads;
  if (reads.young >= kMostYoung) return false;
  if (!reads.sends_long) return true;
  const Nanos now = parts_.clock->Monotonic();
  uint64_t bytes = parts_.others();
  for (const Connection* each : reading_) bytes += Reckoned(*each, now);
  return bytes == 0 || bytes + parts_.longest_bytes <= parts_.max_bytes;
}

uint64_t ReadRoom::Reckoned(const Connection& connection, Nanos now) const {
  const ConnectionReads& reads = connection.reads;
  if (!reads.sends_long || now - reads.since > kQuick) return reads.unfinished_bytes;
  return std::max(reads.open * parts_.longest_bytes, reads.unfinished_bytes);
}

void ReadRoom::AdmitNextOf(Connection* connection) {
  ConnectionReads& reads = connection->reads;
  RequestReader* const next = std::exchange(reads.first_waiting, reads.first_waiting->next_);
  parts_.stats->unread_requests.fetch_sub(1, std::memory_order_relaxed);
  Admit(connection, next);
}

void ReadRoom::AdmitWaitingOf(Connection* connection) {
  ConnectionReads& reads = connection->reads;
  while (reads.first_waiting != nullptr && HasRoom(*connection)) AdmitNextOf(connection);
  if (reads.first_waiting == nullptr) std::erase(waiting_, connection);
}

// One of each connection at a time. Who still has no room is passed by others, who need less.
void ReadRoom::AdmitWaiting() {
  for (size_t tries = waiting_.size(); tries > 0; --tries) {
    Connection* const connection = waiting_.front();
    ConnectionReads& reads = connection->reads;
    waiting_.pop_front();
    while (reads.first_waiting != nullptr && HasRoom(*connection)) {
      AdmitNextOf(connection);
      if (reads.sends_long) break;
    }
    if (reads.first_waiting != nullptr) waiting_.push_back(connection);
  }
}

void ReadRoom::Look() {
  uint64_t bytes = 0;
  for (Connection* connection : reading_) {
    ConnectionReads& reads = connection->reads;
    reads.young = 0;
    const Connection::Unwhole now = connection->LookAtUnfinished();
    reads.unfinished_bytes = now.cut ? 0 : now.unfinished_bytes;
    if (reads.unfinished_bytes > limits::kMaxShortMessageBytes) {
      if (!reads.sends_long) reads.since = parts_.clock->Monotonic();
      reads.sends_long = true;
      reads.short_ones = 0;
    }
    bytes += reads.unfinished_bytes;
  }
  if (parts_.max_bytes != 0 && bytes > parts_.max_bytes) CutMost(bytes);
  AdmitWaiting();
}

void ReadRoom::CutMost(uint64_t bytes) {
  while (bytes > parts_.max_bytes) {
    const auto most = std::max_element(reading_.begin(), reading_.end(), [](auto* a, auto* b) {
      return a->reads.unfinished_bytes < b->reads.unfinished_bytes;
    });
    if (most == reading_.end() || (*most)->reads.unfinished_bytes == 0) return;
    bytes -= std::min(bytes, std::exchange((*most)->reads.unfinished_bytes, 0));
    parts_.cut(*most);
  }
}

}  // namespace kvroute
