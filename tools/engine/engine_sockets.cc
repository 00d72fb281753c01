#include "tools/engine/engine_sockets.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "indexer/base/error.h"
#include "indexer/telemetry/listening_socket.h"

namespace kvroute {
namespace {

constexpr int kTickMs = 20;
constexpr uint64_t kStopMark = UINT64_MAX;

absl::Status SystemError(const char* what) {
  return Error(absl::StatusCode::kUnavailable, "{}: {}", what, std::strerror(errno));
}

}  // namespace

absl::Status EngineSockets::Listen(const std::string& address) {
  const absl::StatusOr<ListeningSocket> socket = kvroute::Listen(address);
  if (!socket.ok()) return socket.status();
  MutexLock lock(&mutex_);
  listeners_.push_back(
      {.address = absl::StrCat(address.substr(0, address.rfind(':')), ":", socket->port),
       .fd = socket->fd});
  return absl::OkStatus();
}

absl::Status EngineSockets::Start(Accepted accepted, std::function<void()> tick) {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  stop_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (epoll_ < 0 || stop_ < 0) return SystemError("epoll");
  epoll_event event = {.events = EPOLLIN, .data = {.u64 = kStopMark}};
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, stop_, &event) != 0) return SystemError("epoll_ctl");
  {
    MutexLock lock(&mutex_);
    for (size_t i = 0; i < listeners_.size(); ++i) {
      KVROUTE_RETURN_IF_ERROR(Watch(i, listeners_[i].fd));
    }
  }
  thread_ = NamedThread("engine-accept", [this, accepted = std::move(accepted),
                                          tick = std::move(tick)] { Run(accepted, tick); });
  return absl::OkStatus();
}

void EngineSockets::Stop() {
  if (stop_ >= 0) {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(stop_, &one, sizeof(one));
  }
  thread_.Join();
  MutexLock lock(&mutex_);
  for (Listener& listener : listeners_) {
    if (listener.fd >= 0) close(std::exchange(listener.fd, -1));
  }
  for (int* fd : {&epoll_, &stop_}) {
    if (*fd >= 0) close(std::exchange(*fd, -1));
  }
}

std::string EngineSockets::address(size_t engine) const {
  MutexLock lock(&mutex_);
  return listeners_[engine].address;
}

size_t EngineSockets::EngineOf(int fd) const {
  MutexLock lock(&mutex_);
  const auto found = connections_.find(fd);
  return found == connections_.end() ? 0 : found->second;
}

void EngineSockets::Ended(int fd) {
  MutexLock lock(&mutex_);
  connections_.erase(fd);
}

void EngineSockets::Close(size_t engine) {
  MutexLock lock(&mutex_);
  if (listeners_[engine].fd >= 0) close(std::exchange(listeners_[engine].fd, -1));
  for (const auto& [fd, whose] : connections_) {
    if (whose == engine) shutdown(fd, SHUT_RDWR);
  }
}

absl::Status EngineSockets::Reopen(size_t engine) {
  MutexLock lock(&mutex_);
  Listener& listener = listeners_[engine];
  if (listener.fd >= 0) return absl::OkStatus();
  const absl::StatusOr<ListeningSocket> socket = kvroute::Listen(listener.address);
  if (!socket.ok()) return socket.status();
  listener.fd = socket->fd;
  return Watch(engine, listener.fd);
}

absl::Status EngineSockets::Watch(size_t engine, int fd) const {
  epoll_event event = {.events = EPOLLIN, .data = {.u64 = engine}};
  return epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0 ? absl::OkStatus()
                                                           : SystemError("epoll_ctl");
}

void EngineSockets::Run(const Accepted& accepted, const std::function<void()>& tick) {
  std::array<epoll_event, 64> events;
  Nanos next_tick{0};
  while (true) {
    const int count = epoll_wait(epoll_, events.data(), events.size(), kTickMs);
    for (int i = 0; i < count; ++i) {
      if (events[static_cast<size_t>(i)].data.u64 == kStopMark) return;
      AcceptAll(events[static_cast<size_t>(i)].data.u64, accepted);
    }
    const Nanos now = Clock::Real().Monotonic();
    if (now < next_tick) continue;
    next_tick = now + std::chrono::milliseconds(kTickMs);
    tick();
  }
}

void EngineSockets::AcceptAll(size_t engine, const Accepted& accepted) {
  while (true) {
    sockaddr_storage address{};
    socklen_t size = sizeof(address);
    int fd = -1;
    {
      MutexLock lock(&mutex_);
      if (listeners_[engine].fd < 0) return;
      fd = accept4(listeners_[engine].fd, reinterpret_cast<sockaddr*>(&address), &size,
                   SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;  // none any more, or no descriptors: the next one is tried again
      connections_[fd] = engine;
    }
    accepted(fd, reinterpret_cast<sockaddr*>(&address), size);
  }
}

}  // namespace kvroute
