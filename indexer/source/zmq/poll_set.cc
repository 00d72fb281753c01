#include "indexer/source/zmq/poll_set.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "indexer/base/check.h"

namespace kvroute {

PollSet::PollSet()
    : epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  KVROUTE_CHECK(epoll_ >= 0 && wake_ >= 0);
  Watch(wake_, nullptr);
}

PollSet::~PollSet() {
  close(wake_);
  close(epoll_);
}

void PollSet::Watch(int fd, Pollable* pollable) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = pollable;
  KVROUTE_CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0);
}

void PollSet::Unwatch(int fd) { KVROUTE_CHECK(epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr) == 0); }

void PollSet::MarkReady(Pollable* pollable) {
  if (pollable->ready_) return;
  pollable->ready_ = true;
  ready_.push_back(pollable);
}

void PollSet::Forget(Pollable* pollable) {
  ready_.erase(std::remove(ready_.begin(), ready_.end(), pollable), ready_.end());
}

void PollSet::RunOnce(std::chrono::milliseconds timeout) {
  std::array<epoll_event, 256> events;
  const int wait_ms = ready_.empty() ? static_cast<int>(timeout.count()) : 0;
  const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait_ms);
  for (int i = 0; i < count; ++i) {
    if (events[static_cast<size_t>(i)].data.ptr != nullptr) {
      MarkReady(static_cast<Pollable*>(events[static_cast<size_t>(i)].data.ptr));
      continue;
    }
    uint64_t wakes = 0;
    [[maybe_unused]] const ssize_t size = read(wake_, &wakes, sizeof(wakes));
  }
  turn_.swap(ready_);
  for (Pollable* pollable : turn_) {
    pollable->ready_ = false;
    if (pollable->Work()) MarkReady(pollable);
  }
  turn_.clear();
}

void PollSet::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t size = write(wake_, &one, sizeof(one));
}

}  // namespace kvroute
