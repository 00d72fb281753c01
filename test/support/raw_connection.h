#ifndef KVROUTE_TEST_SUPPORT_RAW_CONNECTION_H_
#define KVROUTE_TEST_SUPPORT_RAW_CONNECTION_H_

#include <string>
#include <string_view>

namespace kvroute::testing_support {

// A TCP connection to 127.0.0.1:port that does exactly what it is told. What waits for the peer
// gives up after a minute.
class RawConnection {
 public:
  explicit RawConnection(int port);
  ~RawConnection();
  RawConnection(RawConnection&& other) noexcept;
  RawConnection& operator=(RawConnection&&) = delete;

  bool Send(std::string_view bytes);
  // All that came up to `end`, or as much as came.
  std::string ReadUntil(std::string_view end);
  // Reads and drops what the peer has sent until it closes; false when it does not.
  bool ClosedByPeer();

 private:
  int fd_;
};

}  // namespace kvroute::testing_support

#endif  // KVROUTE_TEST_SUPPORT_RAW_CONNECTION_H_
