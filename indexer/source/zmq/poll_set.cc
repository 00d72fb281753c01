#include "indexer/source/zmq/poll_set.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <new>

namespace kvroute {

PollSet::PollSet() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (ok()) Watch(wake_.fd(), nullptr);
}

PollSet::~PollSet() {
  if (epoll_ >= 0) close(epoll_);
}

void PollSet::Watch(int fd, Pollable* pollable) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = pollable;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) unwatched_.emplace_back(fd, pollable);
}

void PollSet::Unwatch(int fd) {
  const auto it = std::find_if(unwatched_.begin(), unwatched_.end(),
                               [fd](const auto& entry) { return entry.first == fd; });
  if (it != unwatched_.end()) {
    unwatched_.erase(it);
  } else {
    epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  }
}

void PollSet::MarkReady(Pollable* pollable) {
  if (pollable->ready_) return;
  pollable->ready_ = true;
  ready_.push_back(pollable);
}

void PollSet::Forget(Pollable* pollable) {
  ready_.erase(std::remove(ready_.begin(), ready_.end(), pollable), ready_.end());
}

bool PollSet::Wait(std::chrono::milliseconds timeout) {
  std::array<epoll_event, 256> events;
  if (!unwatched_.empty()) timeout = std::min(timeout, kUnwatchedInterval);
  const int wait_ms = ready_.empty() ? static_cast<int>(timeout.count()) : 0;
  const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait_ms);
  for (int i = 0; i < count; ++i) {
    if (auto* const pollable = static_cast<Pollable*>(events[static_cast<size_t>(i)].data.ptr)) {
      MarkReady(pollable);
    } else {
      wake_.Woken();
    }
  }
  for (const auto& [fd, pollable] : unwatched_) MarkReady(pollable);
  return !ready_.empty();
}

void PollSet::Work(const Turn& turn) {
  turn_.swap(ready_);
  size_t worked = 0;
  while (worked < turn_.size()) {
    Pollable* const pollable = turn_[worked++];
    pollable->ready_ = false;
    if (WorkOf(pollable, turn)) MarkReady(pollable);
    if (turn.Over()) break;
  }
  ready_.insert(ready_.begin(), turn_.begin() + static_cast<std::ptrdiff_t>(worked), turn_.end());
  turn_.clear();
}

// The system may have less memory than we may have. What a stream loses by that it says itself;
// what is thrown beside it ends the turn of one, not the process.
bool PollSet::WorkOf(Pollable* pollable, const Turn& turn) {
  try {
    return pollable->Work(turn);
  } catch (const std::bad_alloc&) {
    if (const uint64_t lines = limiter_.Admit(Clock::Real().Monotonic())) {
      LogError("out of memory in a lane's turn: tried again ({} alike not shown)", lines - 1);
    }
    return true;
  }
}

}  // namespace kvroute
