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
  bool running() { return process_.Wait(std::chrono::milliseconds(0)) == -1; }

  // SIGKILL: as an out-of-memory kill or a lost machine.
  void Kill();
  // SIGTERM; its exit status, see ChildProcess::Wait.
  int Terminate();
  std::string Log() const { return process_.ReadStderr(); }

 private:
  explicit ServerProcess(const std::vector<std::string>& words) : process_(words) {}

  ChildProcess process_;
  std::string grpc_address_;
};

}  // namespace kvroute::testing_support

#endif  // KVROUTE_TEST_SUPPORT_SERVER_PROCESS_H_
