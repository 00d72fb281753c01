#include "test/benchmark/support/replay_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include "indexer/base/check.h"

namespace kvroute {
namespace {

using std::literals::operator""s;

constexpr size_t kGreetingBytes = 64;

std::string Greeting() {
  std::string greeting = "\xff\0\0\0\0\0\0\0\0\x7f\3\0NULL"s;
  greeting.resize(kGreetingBytes);
  return greeting;
}

std::string Ready(std::string_view type) {
  std::string body = "\x05READY\x0bSocket-Type\0\0\0"s;
  body.push_back(static_cast<char>(type.size()));
  body.append(type).append("\x08Identity\0\0\0\0"s);
  return "\x04"s + static_cast<char>(body.size()) + body;
}

void AppendNumber(uint64_t number, std::string* to) {
  for (int shift = 56; shift >= 0; shift -= 8) to->push_back(static_cast<char>(number >> shift));
}

// ["", "", number, payload]
void AppendReply(uint64_t seq, std::string_view payload, std::string* to) {
  to->append("\x01\0\x01\0\x01\x08"s);
  AppendNumber(seq, to);
  if (payload.size() < 256) {
    to->append("\0"s).push_back(static_cast<char>(payload.size()));
  } else {
    to->append("\x02"s);
    AppendNumber(payload.size(), to);
  }
  to->append(payload);
}

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void Watch(int epoll, int operation, int fd, uint32_t events, void* whom) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = whom;
  KVROUTE_CHECK(epoll_ctl(epoll, operation, fd, &event) == 0);
}

}  // namespace

ReplayServer::ReplayServer(size_t engines, size_t batches, const WireEvents& events)
    : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  for (size_t seq = 0; seq < batches; ++seq) {
    begins_.push_back(replies_.size());
    AppendReply(seq, events.Payload(seq), &replies_);
  }
  begins_.push_back(replies_.size());
  AppendReply(UINT64_MAX, "", &replies_);
  listeners_.reserve(engines);  // whose addresses the poller knows
  for (size_t i = 0; i < engines; ++i) Listen();
}

void ReplayServer::Listen() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  KVROUTE_CHECK(fd >= 0 && bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
  KVROUTE_CHECK(listen(fd, 8) == 0);
  KVROUTE_CHECK(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  endpoints_.push_back("tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port)));
  listeners_.push_back(fd);
  Watch(epoll_, EPOLL_CTL_ADD, fd, EPOLLIN, &listeners_.back());
}

void ReplayServer::ServeForEver() {
  std::array<epoll_event, 64> events;
  for (;;) {
    const int count = epoll_wait(epoll_, events.data(), events.size(), -1);
    for (int i = 0; i < count; ++i) {
      void* const whom = events[static_cast<size_t>(i)].data.ptr;
      const auto* const listener = static_cast<int*>(whom);
      if (listener >= listeners_.data() && listener < listeners_.data() + listeners_.size()) {
        Accept(*listener);
      } else {
        Follow(static_cast<Client*>(whom));
      }
    }
  }
}

void ReplayServer::Accept(int listener) {
  const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return;
  clients_.emplace_front();
  Client& client = clients_.front();
  client.fd = fd;
  client.self = clients_.begin();
  const std::string hello = Greeting() + Ready("ROUTER");
  KVROUTE_CHECK(send(fd, hello.data(), hello.size(), MSG_NOSIGNAL) > 0);
  Watch(epoll_, EPOLL_CTL_ADD, fd, EPOLLIN, &client);
}

// Greeting, a command, then the request: an empty frame and one with the number.
void ReplayServer::Follow(Client* client) {
  if (!client->asked) {
    std::array<char, 512> buffer;
    const ssize_t got = recv(client->fd, buffer.data(), buffer.size(), 0);
    if (got <= 0) return Close(client);
    std::string& received = client->received.append(buffer.data(), static_cast<size_t>(got));
    if (received.size() < kGreetingBytes + 2) return;
    const size_t request = kGreetingBytes + 2 + static_cast<uint8_t>(received[kGreetingBytes + 1]);
    if (received.size() < request + 12) return;
    uint64_t from = 0;
    for (size_t i = 4; i < 12; ++i) from = from << 8 | static_cast<uint8_t>(received[request + i]);
    client->sent = begins_[std::min<uint64_t>(from, begins_.size() - 1)];
    client->asked = true;
    Watch(epoll_, EPOLL_CTL_MOD, client->fd, EPOLLOUT, client);
  }
  const ssize_t sent = send(client->fd, replies_.data() + client->sent,
                            replies_.size() - client->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && errno != EAGAIN) return Close(client);
  if (sent > 0) client->sent += static_cast<size_t>(sent);
  if (client->sent == replies_.size()) {  // until the other end has enough
    client->asked = false;
    client->received.clear();
    Watch(epoll_, EPOLL_CTL_MOD, client->fd, EPOLLIN, client);
  }
}

void ReplayServer::Close(Client* client) {
  close(client->fd);
  clients_.erase(client->self);
}

size_t ReceiveReplay(const std::string& endpoint, size_t bytes) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(std::stoi(endpoint.substr(endpoint.rfind(':') + 1)));
  KVROUTE_CHECK(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  std::string hello = Greeting() + Ready("DEALER") + "\x01\0\0\x08"s;
  AppendNumber(0, &hello);
  KVROUTE_CHECK(send(fd, hello.data(), hello.size(), MSG_NOSIGNAL) > 0);
  std::vector<char> buffer(size_t{256} << 10);
  size_t received = 0;
  while (received < bytes) {
    const ssize_t got = recv(fd, buffer.data(), buffer.size(), 0);
    if (got <= 0) break;
    received += static_cast<size_t>(got);
  }
  close(fd);
  return received;
}

}  // namespace kvroute
