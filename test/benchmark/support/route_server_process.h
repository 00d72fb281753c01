#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_ROUTE_SERVER_PROCESS_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_ROUTE_SERVER_PROCESS_H_

#include <sys/types.h>

#include <chrono>
#include <string>

namespace kvroute {

// route_server of this build, serving in one style until the object ends. One thread.
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
  int input_fd_ = -1;  // its end is the server's end
  int port_ = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_ROUTE_SERVER_PROCESS_H_
