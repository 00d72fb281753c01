#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_ENVOY_PROCESS_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_ENVOY_PROCESS_H_

#include <sched.h>
#include <sys/types.h>

#include <string>
#include <vector>

namespace kvroute {

// A real Envoy (scripts/get-envoy), as deploy/envoy/full-duplex.yaml has it: one listener for each
// picker, one worker thread. Ends with the object.
// Errors: a programmer's.
class EnvoyProcess {
 public:
  // Where its binary is: $KVROUTE_ENVOY, or where scripts/get-envoy puts it; empty: not there.
  static std::string Binary();

  struct Gateway {
    int port = 0;  // of the listener
    int picker_port = 0;
    bool shows_response = true;  // false: neither its headers nor its body
  };
  EnvoyProcess(const std::vector<Gateway>& gateways, const cpu_set_t& cores);
  ~EnvoyProcess();
  EnvoyProcess(const EnvoyProcess&) = delete;
  EnvoyProcess& operator=(const EnvoyProcess&) = delete;

 private:
  std::string config_path_;
  pid_t pid_ = -1;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_ENVOY_PROCESS_H_
