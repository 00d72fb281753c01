#include "indexer/base/line_writer.h"

#include <fmt/core.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>

#include "indexer/base/mutex.h"

namespace kvroute {
namespace {

// A closed pipe, and a file that may grow no more (RLIMIT_FSIZE), are errors to this thread, not
// the end of the process.
void IgnoreFailedWrites() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGPIPE, SIGXFSZ}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

// What cannot be written, because nobody will ever read it or the disk is full.
std::string_view WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written > 0) {
      bytes.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EAGAIN) {
      pollfd writable{.fd = fd, .events = POLLOUT, .revents = 0};
      poll(&writable, 1, -1);
    } else if (errno != EINTR) {
      break;
    }
  }
  return bytes;
}

}  // namespace

struct LineWriter::Shared {
  explicit Shared(int to) : fd(to) {}

  const int fd;
  Mutex mutex;
  CondVar changed;
  std::string waiting ABSL_GUARDED_BY(mutex);
  bool writing ABSL_GUARDED_BY(mutex) = false;
  bool ending ABSL_GUARDED_BY(mutex) = false;
  uint64_t unsaid ABSL_GUARDED_BY(mutex) = 0;  // lines dropped that no line has told of yet
  std::atomic<uint64_t> dropped{0};
};

LineWriter::LineWriter(int fd) : shared_(std::make_shared<Shared>(fd)) {
  std::thread([shared = shared_] {
    pthread_setname_np(pthread_self(), "log");
    IgnoreFailedWrites();
    Run(shared);
  }).detach();
}

LineWriter::~LineWriter() {
  Flush(kPatience);
  MutexLock lock(&shared_->mutex);
  shared_->ending = true;
  shared_->changed.NotifyAll();
}

void LineWriter::Write(std::string_view line) {
  MutexLock lock(&shared_->mutex);
  if (shared_->waiting.size() + line.size() > kMaxWaitingBytes) {
    ++shared_->unsaid;
    shared_->dropped.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  if (const uint64_t unsaid = std::exchange(shared_->unsaid, 0)) {
    shared_->waiting +=
        fmt::format("({} lines of the log dropped: they could not be written)\n", unsaid);
  }
  shared_->waiting.append(line);
  shared_->changed.NotifyAll();
}

bool LineWriter::Flush(std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  MutexLock lock(&shared_->mutex);
  while (shared_->writing || !shared_->waiting.empty()) {
    const auto left = deadline - std::chrono::steady_clock::now();
    if (left <= std::chrono::nanoseconds(0)) return false;
    shared_->changed.WaitFor(&shared_->mutex, left);
  }
  return true;
}

uint64_t LineWriter::dropped() const { return shared_->dropped.load(std::memory_order_relaxed); }

void LineWriter::Run(const std::shared_ptr<Shared>& shared) {
  std::string lines;
  while (true) {
    {
      MutexLock lock(&shared->mutex);
      shared->writing = false;
      shared->changed.NotifyAll();
      while (shared->waiting.empty() && !shared->ending) shared->changed.Wait(&shared->mutex);
      if (shared->waiting.empty()) return;
      lines.swap(shared->waiting);
      shared->waiting.clear();
      shared->writing = true;
    }
    const std::string_view unwritten = WriteAll(shared->fd, lines);
    if (unwritten.empty()) continue;
    const auto lost = static_cast<uint64_t>(std::count(unwritten.begin(), unwritten.end(), '\n'));
    shared->dropped.fetch_add(lost, std::memory_order_relaxed);
    MutexLock lock(&shared->mutex);
    shared->unsaid += lost;
  }
}

}  // namespace kvroute
