#ifndef KVROUTE_TEST_SUPPORT_HTTP_CLIENT_H_
#define KVROUTE_TEST_SUPPORT_HTTP_CLIENT_H_

#include <string>
#include <string_view>

namespace kvroute::testing_support {

struct HttpReply {
  int status = 0;  // 0: no connection or no answer
  std::string headers;
  std::string body;
};

// One request over a plain socket to 127.0.0.1:port, closed by the server or after `content-length`
// bytes.
HttpReply HttpRequest(int port, std::string_view method, std::string_view path);
inline HttpReply HttpGet(int port, std::string_view path) { return HttpRequest(port, "GET", path); }

// Sends `bytes` as they are; the socket, the caller's to close. -1: no connection.
int SendAndKeep(int port, std::string_view bytes);

// Sends `bytes` as they are and reads until the peer closes.
std::string SendRaw(int port, std::string_view bytes);

}  // namespace kvroute::testing_support

#endif  // KVROUTE_TEST_SUPPORT_HTTP_CLIENT_H_
