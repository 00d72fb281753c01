#ifndef KVROUTE_TEST_INTEGRATION_HALF_MESSAGES_H_
#define KVROUTE_TEST_INTEGRATION_HALF_MESSAGES_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "test/support/http2_connection.h"

namespace kvroute::testing_support {

// A gRPC client that sends as many bytes of long messages as the server lets it, on many calls of
// one connection, but never the last ones.
//
// Thread safety: one thread.
class HalfMessages {
 public:
  // nullopt: the server takes no connection.
  static std::optional<HalfMessages> Begin(int port, std::chrono::milliseconds patience);

  // A call whose requests begin with `before`, a whole message, if it is not empty, and then one of
  // so many bytes that begins with `first`.
  void Call(std::string_view path, std::string_view before, std::string_view first,
            uint32_t message_bytes);
  // Sends until the server lets it send no more for `patience`, or closes the connection.
  void SendAll();
  uint64_t sent_bytes() const { return sent_bytes_; }

 private:
  struct Open {
    std::string head = "";  // to be sent first
    uint64_t left = 0;      // zeros
    int64_t window = 65'535;
  };
  explicit HalfMessages(Http2Connection connection) : connection_(std::move(connection)) {}

  bool SendSome();
  bool ReadFrame();
  int64_t SendOf(uint32_t call, Open* open);

  static constexpr int64_t kFrameBytes = 16'000;
  Http2Connection connection_;
  std::map<uint32_t, Open> calls_;
  int64_t window_ = 65'535;
  int64_t initial_window_ = 65'535;
  uint32_t next_call_ = 1;
  uint64_t sent_bytes_ = 0;
};

}  // namespace kvroute::testing_support

#endif  // KVROUTE_TEST_INTEGRATION_HALF_MESSAGES_H_
