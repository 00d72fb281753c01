#include "indexer/source/zmq/io_watch.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "indexer/base/check.h"
#include "indexer/base/clock.h"
#include "indexer/base/error.h"
#include "indexer/base/log.h"

namespace kvroute {
namespace {

constexpr int kMaxWatched = 64;  // bits of ZMQ_AFFINITY

Nanos MonotonicNow() { return Clock::Real().Monotonic(); }

void BindTo(ZmqSocket* socket, int io_thread) {
  const uint64_t affinity = uint64_t{1} << io_thread;
  KVROUTE_CHECK(zmq_setsockopt(socket->get(), ZMQ_AFFINITY, &affinity, sizeof(affinity)) == 0);
}

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// A socket at a free port of 127.0.0.1; -1: there is none, or no descriptor.
int OpenAtFreePort(int* port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd, generic, size) != 0 || getsockname(fd, generic, &size) != 0) {
    close(fd);
    return -1;
  }
  *port = ntohs(address.sin_port);
  return fd;
}

// What comes from other ports never reaches the listening socket: the system drops it.
bool ListenOnlyTo(int near_port, int fd) {
  constexpr uint32_t kSourcePortAt = 0;  // in the header of TCP
  constexpr uint32_t kWhole = 0xffff'ffff;
  sock_filter steps[] = {
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, kSourcePortAt),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(near_port), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, kWhole),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  const sock_fprog program{.len = std::size(steps), .filter = steps};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0 &&
         listen(fd, 1) == 0;
}

}  // namespace

IoWatch::Line::~Line() {
  if (near >= 0) close(near);
}

absl::StatusOr<std::unique_ptr<IoWatch>> IoWatch::Start(SocketContext* sockets,
                                                        SocketBudget* budget, int io_threads) {
  std::unique_ptr<IoWatch> watch(new IoWatch());
  if (watch->wake_.fd() < 0) {
    return absl::ResourceExhaustedError("max_open_files: no file descriptor to watch threads with");
  }
  for (int i = 0; i < std::min(io_threads, kMaxWatched); ++i) {
    if (absl::Status status = watch->Open(sockets, budget, i); !status.ok()) return status;
  }
  watch->thread_ = NamedThread("zmq-watch", [watch = watch.get()] { watch->Run(); });
  return watch;
}

IoWatch::~IoWatch() {
  stop_.store(true, std::memory_order_relaxed);
  wake_.Wake();
  thread_.Join();
}

absl::Status IoWatch::Open(SocketContext* sockets, SocketBudget* budget, int io_thread) {
  auto share = budget->TakeForStream(kIoWatchCost);
  if (!share.ok()) return share.status();
  auto far = ZmqSocket::Open(sockets, ZMQ_STREAM);
  if (!far.ok()) return far.status();
  auto line = std::make_unique<Line>();
  line->share = *std::move(share);
  line->far = *std::move(far);
  BindTo(line->far.get(), io_thread);
  absl::Status status = Connect(line.get());
  if (status.code() == absl::StatusCode::kResourceExhausted) return status;
  if (status.ok()) {
    lines_.push_back(std::move(line));
  } else {
    LogWarning("zmq-io-{}: cannot be watched: {}", io_thread, MessageOf(status));
  }
  return absl::OkStatus();
}

// Not over a Unix socket: libzmq ends the process when it cannot accept a connection there.
absl::Status IoWatch::Connect(Line* line) {
  int from = 0;
  int to = 0;
  line->near = OpenAtFreePort(&from);
  const int listening = line->near < 0 ? -1 : OpenAtFreePort(&to);
  if (listening < 0) {
    return absl::ResourceExhaustedError("max_open_files: no file descriptor to watch threads with");
  }
  const sockaddr_in address = Loopback(to);
  absl::Status status;
  if (!ListenOnlyTo(from, listening) ||
      connect(line->near, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    status = absl::UnavailableError("no connection of its own to itself");
  } else {
    line->far->SetInt(ZMQ_USE_FD, listening);  // libzmq's from now on, if it takes it
    status = line->far->Bind("io_watch", absl::StrCat("tcp://127.0.0.1:", to));
  }
  if (!status.ok()) close(listening);
  return status;
}

void IoWatch::AddAges(std::vector<ThreadAge>* ages) const {
  const Nanos now = MonotonicNow();
  for (size_t i = 0; i < lines_.size(); ++i) {
    const Nanos sent(lines_[i]->sent_ns.load(std::memory_order_relaxed));
    ages->push_back({absl::StrCat("zmq-io-", i), sent == Nanos(0) ? sent : now - sent});
  }
}

void IoWatch::Run() {
  std::vector<zmq_pollitem_t> items;
  for (const auto& line : lines_) items.push_back({line->far->get(), 0, ZMQ_POLLIN, 0});
  items.push_back({nullptr, wake_.fd(), ZMQ_POLLIN, 0});
  Nanos next{0};
  while (!stop_.load(std::memory_order_relaxed)) {
    if (MonotonicNow() >= next) {
      for (const auto& line : lines_) Ask(line.get());
      next = MonotonicNow() + kInterval;
    }
    zmq_poll(items.data(), static_cast<int>(items.size()),
             std::chrono::milliseconds(kInterval).count());
    for (const auto& line : lines_) {
      Multipart word;
      while (word.ReceiveFrom(line->far->get())) {
        if (word.frames().back().empty()) continue;  // libzmq's, of the connection itself
        line->sent_ns.store(0, std::memory_order_relaxed);
        words_.fetch_add(1, std::memory_order_relaxed);
      }
    }
  }
}

// One word at a time is on its way.
void IoWatch::Ask(Line* line) {
  if (line->sent_ns.load(std::memory_order_relaxed) != 0) return;
  line->sent_ns.store(MonotonicNow().count(), std::memory_order_relaxed);
  if (send(line->near, "w", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    line->sent_ns.store(0, std::memory_order_relaxed);  // the connection is gone: not watched
  }
}

}  // namespace kvroute
