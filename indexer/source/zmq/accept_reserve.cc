#include "indexer/source/zmq/accept_reserve.h"

#include <linux/filter.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace kvroute {

bool AcceptReserve::Take() {
  while (kept_.size() < size_) {
    const int fd = eventfd(0, EFD_CLOEXEC);
    if (fd < 0) {
      Release();
      return false;
    }
    kept_.push_back(fd);
  }
  return true;
}

void AcceptReserve::Release() {
  for (const int fd : kept_) close(fd);
  kept_.clear();
}

// Of each packet that the listening socket itself is to judge, none of its bytes are kept: it is
// dropped. Those of connections go to sockets of their own.
void AcceptReserve::Pause(int listening_fd) {
  if (paused_) return;
  paused_ = true;
  sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
  const sock_fprog program{.len = 1, .filter = &nothing};
  setsockopt(listening_fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
  Release();
}

bool AcceptReserve::TryResume(int listening_fd) {
  if (!Take()) return false;
  const int unused = 0;
  setsockopt(listening_fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
  paused_ = false;
  return true;
}

}  // namespace kvroute
