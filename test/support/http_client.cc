#include "test/support/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "absl/strings/numbers.h"

namespace kvroute::testing_support {

int SendAndKeep(int port, std::string_view bytes) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval timeout{.tv_sec = 20, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    close(fd);
    return -1;
  }
  while (!bytes.empty()) {
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) break;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return fd;
}

std::string SendRaw(int port, std::string_view bytes) {
  const int fd = SendAndKeep(port, bytes);
  if (fd < 0) return "";
  std::string answer;
  std::array<char, 65536> buffer;
  for (ssize_t got; (got = recv(fd, buffer.data(), buffer.size(), 0)) > 0;) {
    answer.append(buffer.data(), static_cast<size_t>(got));
  }
  close(fd);
  return answer;
}

HttpReply HttpRequest(int port, std::string_view method, std::string_view path) {
  const std::string answer =
      SendRaw(port, std::string(method) + " " + std::string(path) +
                        " HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
  HttpReply reply;
  const size_t end = answer.find("\r\n\r\n");
  if (answer.size() < 12 || end == std::string::npos) return reply;
  if (!absl::SimpleAtoi(answer.substr(9, 3), &reply.status)) return reply;
  reply.headers = answer.substr(0, end);
  reply.body = answer.substr(end + 4);
  return reply;
}

}  // namespace kvroute::testing_support
