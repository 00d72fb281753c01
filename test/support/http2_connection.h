#ifndef KVROUTE_TEST_SUPPORT_HTTP2_CONNECTION_H_
#define KVROUTE_TEST_SUPPORT_HTTP2_CONNECTION_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "test/support/raw_connection.h"

namespace kvroute::testing_support {

// An HTTP/2 client that sends the frames it is told and honours nothing the server says: it takes
// no settings, reads no answer and keeps to no limit.
class Http2Connection {
 public:
  // `window`: bytes of answers that each call may be sent; 65,535 is usual.
  explicit Http2Connection(int port, uint32_t window = 65'535);
  // For servers that may not take it: see RawConnection::Try.
  static std::optional<Http2Connection> Try(int port, std::chrono::milliseconds patience,
                                            uint32_t window = 65'535);

  // Frames are collected until Flush; each returns itself. Calls are numbered 1, 3, 5, ...
  Http2Connection& Headers(uint32_t call, std::string_view path, bool ends = false);
  // A gRPC message that ends the request; `compressed` is what it says of itself.
  Http2Connection& Message(uint32_t call, std::string_view message, bool compressed = false);
  Http2Connection& Reset(uint32_t call);
  Http2Connection& Ping();
  // Any frame, however wrong.
  Http2Connection& Frame(uint8_t type, uint8_t flags, uint32_t call, std::string_view payload);
  // False once the server has closed the connection.
  bool Flush();

  RawConnection& raw() { return raw_; }

 private:
  Http2Connection(RawConnection raw, uint32_t window);

  RawConnection raw_;
  std::string collected_;
};

}  // namespace kvroute::testing_support

#endif  // KVROUTE_TEST_SUPPORT_HTTP2_CONNECTION_H_
