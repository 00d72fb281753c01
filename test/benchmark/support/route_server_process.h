#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_ROUTE_SERVER_PROCESS_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_ROUTE_SERVER_PROCESS_H_

#include <sched.h>
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace kvroute {

// While it lives its thread, and those that this starts, have the last core to themselves; servers
// have the others. Where the scheduler puts two processes that wake each other would decide more
// (8,000 or 30,000 calls a second, one in flight) than what they do.
class ClientCore {
 public:
  ClientCore();
  ~ClientCore();
  ClientCore(const ClientCore&) = delete;
  ClientCore& operator=(const ClientCore&) = delete;

  const cpu_set_t& others() const { return others_; }  // the same one where there is only one

 private:
  cpu_set_t all_{};
  cpu_set_t others_{};
};

// While it lives no core halts when it has nothing to do: an idle one waits awake. What a server
// does is then not hidden by how long its core takes to wake, which on a virtual machine is more
// than all the rest of a call.
class AwakeCores {
 public:
  AwakeCores();
  ~AwakeCores();
  AwakeCores(const AwakeCores&) = delete;
  AwakeCores& operator=(const AwakeCores&) = delete;

  bool permitted() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// A server of this build, which lies beside this binary and prints its port: serving until the
// object ends.
// Errors: a programmer's (the binary is not there, or does not know its arguments).
class RouteServerProcess {
 public:
  // `words`: the binary and its arguments.
  RouteServerProcess(std::vector<std::string> words, const cpu_set_t& cores);
  ~RouteServerProcess();
  RouteServerProcess(const RouteServerProcess&) = delete;
  RouteServerProcess& operator=(const RouteServerProcess&) = delete;

  int port() const { return port_; }
  // Processor time of all its threads so far.
  std::chrono::nanoseconds CpuTime() const;
  uint64_t ResidentBytes() const;

 private:
  pid_t pid_ = -1;
  int input_fd_ = -1;  // its end is the server's end
  int port_ = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_ROUTE_SERVER_PROCESS_H_
