#include "test/support/tcp_proxy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "indexer/base/check.h"

namespace kvroute::testing_support {
namespace {

constexpr int kTickMs = 2;
// one way of one connection; more waits in the sender's socket
constexpr size_t kMaxQueuedBytes = size_t{4} << 20;

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

const sockaddr* Generic(const sockaddr_in* address) {
  return reinterpret_cast<const sockaddr*>(address);
}

// False when the peer has ended or broken the connection.
bool ReadInto(int socket, std::string* queue) {
  char bytes[65'536];
  const ssize_t size = recv(socket, bytes, sizeof(bytes), MSG_DONTWAIT);
  if (size < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
  queue->append(bytes, static_cast<size_t>(size));
  return size > 0;
}

bool WriteFrom(int socket, std::string* queue) {
  const ssize_t size = send(socket, queue->data(), queue->size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (size < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
  queue->erase(0, static_cast<size_t>(size));
  return true;
}

}  // namespace

int PortOf(const std::string& endpoint) {
  return std::atoi(endpoint.substr(endpoint.rfind(':') + 1).c_str());
}

TcpProxy::TcpProxy(int target_port) : target_port_(target_port) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  KVROUTE_CHECK(bind(listener_, Generic(&address), size) == 0 && listen(listener_, 64) == 0);
  KVROUTE_CHECK(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port_ = ntohs(address.sin_port);
  thread_ = NamedThread("tcp-proxy", [this] { Run(); });
}

TcpProxy::~TcpProxy() {
  stop_.store(true);
  thread_.Join();
  CloseAll();
  close(listener_);
}

void TcpProxy::Set(Mode mode) {
  mode_.store(mode);
  while (in_effect_.load() != mode) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

void TcpProxy::Run() {
  while (!stop_.load()) {
    const Mode mode = mode_.load();
    if (mode == Mode::kCut) CloseAll();
    in_effect_.store(mode);
    PollOnce(mode);
    connections_.store(static_cast<int>(pipes_.size()));
  }
}

void TcpProxy::PollOnce(Mode mode) {
  if (mode == Mode::kHold) {
    std::this_thread::sleep_for(std::chrono::milliseconds(kTickMs));
    return;
  }
  std::vector<pollfd> polled = {{.fd = listener_, .events = POLLIN, .revents = 0}};
  const auto wanted = [](const std::string& in, const std::string& out) {
    return static_cast<short>((in.size() < kMaxQueuedBytes ? POLLIN : 0) |
                              (out.empty() ? 0 : POLLOUT));
  };
  for (const Pipe& pipe : pipes_) {
    polled.push_back(
        {.fd = pipe.client, .events = wanted(pipe.to_server, pipe.to_client), .revents = 0});
    polled.push_back(
        {.fd = pipe.server, .events = wanted(pipe.to_client, pipe.to_server), .revents = 0});
  }
  poll(polled.data(), polled.size(), kTickMs);
  std::vector<Pipe> alive;
  for (size_t i = 0; i < pipes_.size(); ++i) {
    if (Pump(&pipes_[i], polled[1 + 2 * i].revents, polled[2 + 2 * i].revents))
      alive.push_back(std::move(pipes_[i]));
  }
  pipes_ = std::move(alive);
  if (polled[0].revents != 0) Accept();
}

void TcpProxy::Accept() {
  const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (client < 0) return;
  const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(target_port_);
  if (mode_.load() == Mode::kCut || connect(server, Generic(&address), sizeof(address)) != 0) {
    close(client);
    close(server);
    return;
  }
  const int on = 1;
  for (const int end : {client, server}) setsockopt(end, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  pipes_.push_back({.client = client, .server = server, .to_server = "", .to_client = ""});
}

// False when the connection has ended; both ends are closed then.
bool TcpProxy::Pump(Pipe* pipe, short client_events, short server_events) {
  constexpr short kReadable = POLLIN | POLLHUP | POLLERR;
  bool open = true;
  if (client_events & kReadable) open = ReadInto(pipe->client, &pipe->to_server) && open;
  if (server_events & kReadable) open = ReadInto(pipe->server, &pipe->to_client) && open;
  if (!pipe->to_server.empty()) open = WriteFrom(pipe->server, &pipe->to_server) && open;
  if (!pipe->to_client.empty()) open = WriteFrom(pipe->client, &pipe->to_client) && open;
  if (open) return true;
  close(pipe->client);
  close(pipe->server);
  return false;
}

void TcpProxy::CloseAll() {
  for (const Pipe& pipe : pipes_) {
    close(pipe.client);
    close(pipe.server);
  }
  pipes_.clear();
}

}  // namespace kvroute::testing_support
