#ifndef KVROUTE_INDEXER_STREAM_RESTART_GUARD_H_
#define KVROUTE_INDEXER_STREAM_RESTART_GUARD_H_

#include <cstdint>
#include <optional>

#include "indexer/base/clock.h"

namespace kvroute {

// Tells an engine that restarts from two publishers that use one identity. An engine that restarts
// loses its connection; the numbers of two publishers go up and down within one. Thread safety: one
// thread at a time.
class RestartGuard {
 public:
  static constexpr Nanos kWindow = std::chrono::seconds(30);
  // a relay may keep the connection while the engine restarts
  static constexpr int kMaxOnOneConnection = 2;
  static constexpr int kMaxAcrossConnections = 20;
  // How long numbers must rise one by one after a restart within a connection, or after a conflict,
  // to be believed.
  static constexpr Nanos kQuiet = std::chrono::seconds(2);

  void Disconnected() { connection_broke_ = true; }

  // A restart was seen. True when the identity is in conflict from here on.
  bool Restarted(Nanos now) {
    if (now - window_start_ > kWindow) {
      window_start_ = now;
      unbroken_ = across_ = 0;
    }
    ++(connection_broke_ ? across_ : unbroken_);
    if (!connection_broke_) believe_after_ = now + kQuiet;
    connection_broke_ = false;
    if (unbroken_ < kMaxOnOneConnection && across_ < kMaxAcrossConnections) return false;
    believe_after_ = now + kQuiet;
    last_seq_.reset();
    return true;
  }

  // Judges a number that comes during a conflict.
  void Observe(uint64_t seq, Nanos now) {
    if (last_seq_.has_value() && seq != *last_seq_ + 1) believe_after_ = now + kQuiet;
    last_seq_ = seq;
  }
  // Whether numbers have been in order for long enough.
  bool Believable(Nanos now) const { return now >= believe_after_; }
  Nanos believe_after() const { return believe_after_; }
  void EndConflict() { *this = RestartGuard(); }

 private:
  Nanos window_start_{INT64_MIN / 2};
  Nanos believe_after_{INT64_MIN / 2};
  int unbroken_ = 0;
  int across_ = 0;
  bool connection_broke_ = false;
  std::optional<uint64_t> last_seq_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_RESTART_GUARD_H_
