#ifndef KVROUTE_TOOLS_LOAD_LOAD_RUN_H_
#define KVROUTE_TOOLS_LOAD_LOAD_RUN_H_

#include <chrono>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "tools/client/client_options.h"
#include "tools/load/load_publisher.h"
#include "tools/load/load_report.h"

namespace kvroute {

struct LoadRunOptions {
  LoadPublisherOptions publisher;
  std::string target = "127.0.0.1:50051";  // kvroute's gRPC
  std::optional<ClientOptions> http;       // of /metrics; nullopt: not read
  std::chrono::milliseconds duration{60'000};
  std::chrono::milliseconds warm_up{0};  // 0: until every cache has been filled twice
  double scores_per_second = 0;
  // for the streams to become exact, and to be applied at the end
  std::chrono::milliseconds patience{30'000};
  bool progress = true;  // a line now and then on standard error
};

// Registers the streams, publishes for warm-up and duration, waits until all is applied, compares
// what kvroute answers with what the engines hold, and deregisters. Errors: kvroute cannot be
// reached, refuses the workers, or a stream never becomes exact; what goes wrong later is in the
// report.
absl::StatusOr<LoadReport> RunLoad(const LoadRunOptions& options);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_LOAD_LOAD_RUN_H_
