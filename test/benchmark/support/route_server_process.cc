#include "test/benchmark/support/route_server_process.h"

#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "indexer/base/check.h"

namespace kvroute {
namespace {

struct Pipe {
  Pipe() { KVROUTE_CHECK(pipe2(ends.data(), O_CLOEXEC) == 0); }
  std::array<int, 2> ends{};  // to read from, to write to
};

int ReadNumber(int fd) {
  std::string line;
  for (char byte = 0; read(fd, &byte, 1) == 1 && byte != '\n';) line.push_back(byte);
  return std::atoi(line.c_str());
}

void RunOn(const cpu_set_t& cores) {
  KVROUTE_CHECK(sched_setaffinity(0, sizeof cores, &cores) == 0);
}

}  // namespace

ClientCore::ClientCore() {
  KVROUTE_CHECK(sched_getaffinity(0, sizeof all_, &all_) == 0);
  cpu_set_t client = all_;
  others_ = all_;
  if (CPU_COUNT(&all_) > 1) {
    int last = CPU_SETSIZE - 1;
    while (!CPU_ISSET(last, &all_)) --last;
    CPU_ZERO(&client);
    CPU_SET(last, &client);
    CPU_CLR(last, &others_);
  }
  RunOn(client);
}

ClientCore::~ClientCore() { RunOn(all_); }

AwakeCores::AwakeCores() : fd_(open("/dev/cpu_dma_latency", O_WRONLY | O_CLOEXEC)) {
  const int32_t latency_us = 0;  // that an idle core may take to wake, while the file is open
  if (fd_ >= 0) KVROUTE_CHECK(write(fd_, &latency_us, sizeof latency_us) == sizeof latency_us);
}

AwakeCores::~AwakeCores() {
  if (fd_ >= 0) close(fd_);
}

RouteServerProcess::RouteServerProcess(std::vector<std::string> words, const cpu_set_t& cores) {
  cpu_set_t before{};
  KVROUTE_CHECK(sched_getaffinity(0, sizeof before, &before) == 0);
  RunOn(cores);  // for the server to inherit
  const Pipe in, out;
  posix_spawn_file_actions_t actions;
  KVROUTE_CHECK(posix_spawn_file_actions_init(&actions) == 0);
  posix_spawn_file_actions_adddup2(&actions, in.ends[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out.ends[1], STDOUT_FILENO);
  std::string binary =
      (std::filesystem::read_symlink("/proc/self/exe").parent_path() / words[0]).string();
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  KVROUTE_CHECK(posix_spawn(&pid_, binary.c_str(), &actions, nullptr, arguments.data(), environ) ==
                0);
  RunOn(before);
  posix_spawn_file_actions_destroy(&actions);
  close(in.ends[0]);
  close(out.ends[1]);
  input_fd_ = in.ends[1];
  port_ = ReadNumber(out.ends[0]);
  close(out.ends[0]);
  KVROUTE_CHECK(port_ != 0);
}

RouteServerProcess::~RouteServerProcess() {
  close(input_fd_);
  waitpid(pid_, nullptr, 0);
}

std::chrono::nanoseconds RouteServerProcess::CpuTime() const {
  clockid_t clock = 0;
  timespec time{};
  KVROUTE_CHECK(clock_getcpuclockid(pid_, &clock) == 0 && clock_gettime(clock, &time) == 0);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

uint64_t RouteServerProcess::ResidentBytes() const {
  std::ifstream statm("/proc/" + std::to_string(pid_) + "/statm");
  uint64_t size = 0, resident = 0;
  KVROUTE_CHECK(bool(statm >> size >> resident));
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace kvroute
