#include "test/support/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "absl/strings/numbers.h"
#include "indexer/base/check.h"

extern char** environ;

namespace kvroute {
namespace {

// True when `fd` can be read (for a process descriptor: it has ended) within `timeout`.
bool WaitReadable(int fd, std::chrono::milliseconds timeout) {
  pollfd item{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&item, 1, static_cast<int>(timeout.count())) == 1;
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& arguments) {
  const char* build = std::getenv("KVROUTE_BINARY_DIR");
  const std::string binary = std::string(build != nullptr ? build : "build/release") + "/kvroute";
  stderr_path_ = "/tmp/kvroute_test_stderr_XXXXXX";
  const int stderr_fd = mkstemp(stderr_path_.data());
  std::array<int, 2> out{};
  KVROUTE_CHECK(stderr_fd >= 0 && pipe2(out.data(), O_CLOEXEC) == 0);

  std::vector<std::string> words = {binary};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, stderr_fd, STDERR_FILENO);
  if (posix_spawn(&pid_, binary.c_str(), &actions, nullptr, argv.data(), environ) != 0) {
    std::perror(binary.c_str());
    pid_ = -1;
  }
  posix_spawn_file_actions_destroy(&actions);
  close(out[1]);
  close(stderr_fd);
  stdout_fd_ = out[0];
}

ChildProcess::~ChildProcess() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(stdout_fd_);
  unlink(stderr_path_.c_str());
}

std::string ChildProcess::ReadLine(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (true) {
    const size_t end = buffered_.find('\n');
    if (end != std::string::npos) {
      std::string line = buffered_.substr(0, end);
      buffered_.erase(0, end + 1);
      return line;
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0 || !WaitReadable(stdout_fd_, left)) return "";
    std::array<char, 4096> bytes;
    const ssize_t got = read(stdout_fd_, bytes.data(), bytes.size());
    if (got <= 0) return "";
    buffered_.append(bytes.data(), static_cast<size_t>(got));
  }
}

void ChildProcess::Signal(int signal) {
  if (pid_ > 0) kill(pid_, signal);
}

int ChildProcess::Wait(std::chrono::milliseconds timeout) {
  if (pid_ <= 0) return ended_as_;
  const int descriptor = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  const bool ended = descriptor >= 0 && WaitReadable(descriptor, timeout);
  if (descriptor >= 0) close(descriptor);
  if (!ended) return -1;
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  ended_as_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ended_as_;
}

std::string ChildProcess::ReadStderr() const {
  std::ifstream in(stderr_path_);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

int ChildProcess::PortOf(const std::string& line, const std::string& name) {
  const size_t at = line.find(name + "=");
  if (at == std::string::npos) return 0;
  const size_t end = std::min(line.find(' ', at), line.size());
  const size_t colon = line.rfind(':', end - 1);
  int port = 0;
  return absl::SimpleAtoi(line.substr(colon + 1, end - colon - 1), &port) ? port : 0;
}

}  // namespace kvroute
