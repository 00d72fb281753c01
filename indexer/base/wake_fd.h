#ifndef KVROUTE_INDEXER_BASE_WAKE_FD_H_
#define KVROUTE_INDEXER_BASE_WAKE_FD_H_

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

namespace kvroute {

// A descriptor by which a thread that waits for others is woken. Thread safety: every method from
// any thread. Errors: without a descriptor fd() is -1, and it wakes nobody.
class WakeFd {
 public:
  WakeFd() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~WakeFd() {
    if (fd_ >= 0) close(fd_);
  }
  WakeFd(const WakeFd&) = delete;
  WakeFd& operator=(const WakeFd&) = delete;

  int fd() const { return fd_; }  // readable when woken
  void Wake() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t size = write(fd_, &one, sizeof(one));
  }
  void Woken() {
    uint64_t wakes = 0;
    [[maybe_unused]] const ssize_t size = read(fd_, &wakes, sizeof(wakes));
  }

 private:
  const int fd_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_WAKE_FD_H_
