#ifndef KVROUTE_ROUTER_EDGE_GRPC_BASE_UNFINISHED_H_
#define KVROUTE_ROUTER_EDGE_GRPC_BASE_UNFINISHED_H_

#include <algorithm>
#include <cstdint>

namespace kvroute {

// How much of what a connection has received belongs to no whole request yet: what the kernel
// counts, less the messages that came to the services and what goes around them. That is known
// about only, so it is taken for more than it is: a client that finishes its requests is never
// found to owe any.
//
// Thread safety: one thread.
class Unfinished {
 public:
  struct Whole {
    uint64_t bytes = 0;
    uint64_t messages = 0;
  };
  // `received_bytes` is at least as new as `whole`.
  void Read(uint64_t received_bytes, const Whole& whole, uint64_t calls_begun) {
    const uint64_t finished = whole.bytes - whole_.bytes;
    const uint64_t around = finished / 64 + (whole.messages - whole_.messages) * kAroundMessage +
                            (calls_begun - calls_begun_) * kAroundCall;
    bytes_ += received_bytes - received_bytes_;
    bytes_ -= std::min(bytes_, finished + around);
    received_bytes_ = received_bytes;
    whole_ = whole;
    calls_begun_ = calls_begun;
  }
  uint64_t bytes() const { return bytes_ > kAroundConnection ? bytes_ : 0; }

 private:
  static constexpr uint64_t kAroundMessage = 256;        // frames, TLS records, windows
  static constexpr uint64_t kAroundCall = 1'024;         // headers
  static constexpr uint64_t kAroundConnection = 65'536;  // handshake, settings

  uint64_t received_bytes_ = 0;
  Whole whole_;
  uint64_t calls_begun_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_GRPC_BASE_UNFINISHED_H_
