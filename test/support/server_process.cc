#include "test/support/server_process.h"

#include <signal.h>

#include "absl/strings/str_cat.h"

namespace kvroute::testing_support {

absl::StatusOr<std::unique_ptr<ServerProcess>> ServerProcess::Start(
    const std::vector<std::string>& flags) {
  std::vector<std::string> words = {"serve", "--grpc-listen", "127.0.0.1:0", "--http-listen",
                                    "127.0.0.1:0"};
  words.insert(words.end(), flags.begin(), flags.end());
  std::unique_ptr<ServerProcess> server(new ServerProcess(words));
  const std::string line = server->process_.ReadLine(std::chrono::seconds(120));
  const int port = ChildProcess::PortOf(line, "grpc");
  if (port == 0) {
    return absl::UnavailableError(
        absl::StrCat("kvroute serve said \"", line, "\"\n", server->Log()));
  }
  server->grpc_address_ = absl::StrCat("127.0.0.1:", port);
  return server;
}

void ServerProcess::Kill() {
  process_.Signal(SIGKILL);
  process_.Wait();
}

int ServerProcess::Terminate() {
  process_.Signal(SIGTERM);
  return process_.Wait();
}

}  // namespace kvroute::testing_support
