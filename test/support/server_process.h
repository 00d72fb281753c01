#ifndef KVROUTE_TEST_SUPPORT_SERVER_PROCESS_H_
#define KVROUTE_TEST_SUPPORT_SERVER_PROCESS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "test/support/child_process.h"

namespace kvroute::testing_support {

// `kvroute serve` as a process of a test, on free loopback ports. Killed with the object. One
// thread.
class ServerProcess {
 public:
  // Returns once the process says that it serves. Errors: it ended or did not say so within 30 s;
  // its log is in the message.
  static absl::StatusOr<std::unique_ptr<ServerProcess>> Start(
      const std::vector<std::string>& flags = {});

  const std::string& grpc_address() const { return grpc_address_; }  // host:port
  int grpc_port() const { return grpc_port_; }
  int http_port() const { return http_port_; }
  // Of another listener, by the name that it is announced with; 0: there is none.
  int PortOf(const std::string& name) const { return ChildProcess::PortOf(line_, name); }
  pid_t pid() const { return process_.pid(); }
  // Its status, once it is not: Wait.
  int Wait() { return process_.Wait(); }
  bool running() { return process_.Wait(std::chrono::milliseconds(0)) == -1; }

  // SIGKILL: as an out-of-memory kill or a lost machine.
  void Kill();
  // SIGTERM; its exit status, see ChildProcess::Wait.
  int Terminate();
  // What it wrote to standard error; of a long one the first lines and the last, which say how it
  // ended.
  std::string Log() const;

 private:
  explicit ServerProcess(const std::vector<std::string>& words) : process_(words) {}

  ChildProcess process_;
  int grpc_port_ = 0;
  int http_port_ = 0;
  std::string grpc_address_;
  std::string line_;
};

}  // namespace kvroute::testing_support

#endif  // KVROUTE_TEST_SUPPORT_SERVER_PROCESS_H_
