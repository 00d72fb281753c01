#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_ROUTE_SERVER_PROCESS_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_ROUTE_SERVER_PROCESS_H_

#include <sched.h>
#include <sys/types.h>

#include <chrono>
#include <string>

namespace kvroute {

// route_server of this build, serving in one style until the object ends. One thread, which has the
// last core to itself meanwhile, and the server the others: where the scheduler puts two processes
// that wake each other would decide more (8,000 or 30,000 calls a second, one in flight) than what
// they do.
// Errors: a programmer's (the binary is not there, or does not know the style).
class RouteServerProcess {
 public:
  explicit RouteServerProcess(const std::string& style);
  ~RouteServerProcess();
  RouteServerProcess(const RouteServerProcess&) = delete;
  RouteServerProcess& operator=(const RouteServerProcess&) = delete;

  int port() const { return port_; }
  // Processor time of all its threads so far.
  std::chrono::nanoseconds CpuTime() const;

 private:
  pid_t pid_ = -1;
  cpu_set_t cores_{};  // of the thread before
  int input_fd_ = -1;  // its end is the server's end
  int port_ = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_ROUTE_SERVER_PROCESS_H_
