#ifndef KVROUTE_TEST_SUPPORT_RESERVED_PORT_H_
#define KVROUTE_TEST_SUPPORT_RESERVED_PORT_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "indexer/base/check.h"

namespace kvroute {

// A port of 127.0.0.1 for a listener that cannot be asked which one it took. Nobody is given it for
// port 0, nor as the near end of a connection, as long as this lives; who names it may listen
// there, if with SO_REUSEADDR, as libzmq does.
class ReservedPort {
 public:
  ReservedPort() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int on = 1;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    KVROUTE_CHECK(setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
    KVROUTE_CHECK(bind(socket_, generic, size) == 0);
    KVROUTE_CHECK(getsockname(socket_, generic, &size) == 0);
    number_ = ntohs(address.sin_port);
  }
  ~ReservedPort() { close(socket_); }
  ReservedPort(const ReservedPort&) = delete;
  ReservedPort& operator=(const ReservedPort&) = delete;

  int number() const { return number_; }
  std::string endpoint() const { return "tcp://127.0.0.1:" + std::to_string(number_); }

 private:
  const int socket_;
  int number_ = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_RESERVED_PORT_H_
