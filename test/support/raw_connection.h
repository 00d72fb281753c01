#ifndef KVROUTE_TEST_SUPPORT_RAW_CONNECTION_H_
#define KVROUTE_TEST_SUPPORT_RAW_CONNECTION_H_

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace kvroute::testing_support {

// A TCP connection to 127.0.0.1:port that does exactly what it is told. What waits for the peer
// gives up after a minute.
class RawConnection {
 public:
  explicit RawConnection(int port);
  // For peers that may refuse it or not answer: nothing waits for longer than `patience`; empty
  // when there is no connection by then.
  static std::optional<RawConnection> Try(int port, std::chrono::milliseconds patience);
  ~RawConnection();
  RawConnection(RawConnection&& other) noexcept;
  RawConnection& operator=(RawConnection&&) = delete;

  bool Send(std::string_view bytes);
  // All that came up to `end`, or as much as came.
  std::string ReadUntil(std::string_view end);
  // The next so many bytes, or as many as came.
  std::string Read(size_t bytes);
  // Reads and drops what the peer has sent until it closes; false when it does not.
  bool ClosedByPeer();

 private:
  RawConnection() = default;
  bool Connect(int port, std::chrono::milliseconds patience);

  int fd_ = -1;
};

}  // namespace kvroute::testing_support

#endif  // KVROUTE_TEST_SUPPORT_RAW_CONNECTION_H_
