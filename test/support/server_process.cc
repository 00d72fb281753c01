#include "test/support/server_process.h"

#include <signal.h>

#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace kvroute::testing_support {

absl::StatusOr<std::unique_ptr<ServerProcess>> ServerProcess::Start(
    const std::vector<std::string>& flags) {
  std::vector<std::string> words = {"serve", "--grpc-listen", "127.0.0.1:0", "--http-listen",
                                    "127.0.0.1:0"};
  words.insert(words.end(), flags.begin(), flags.end());
  std::unique_ptr<ServerProcess> server(new ServerProcess(words));
  const std::string& line = server->line_ = server->process_.ReadLine(std::chrono::seconds(120));
  server->grpc_port_ = ChildProcess::PortOf(line, "grpc");
  server->http_port_ = ChildProcess::PortOf(line, "http");
  if (server->grpc_port_ == 0 || server->http_port_ == 0) {
    return absl::UnavailableError(
        absl::StrCat("kvroute serve said \"", line, "\"\n", server->Log()));
  }
  server->grpc_address_ = absl::StrCat("127.0.0.1:", server->grpc_port_);
  return server;
}

void ServerProcess::Kill() {
  process_.Signal(SIGKILL);
  process_.Wait();
}

std::string ServerProcess::Log() const {
  constexpr ptrdiff_t kFirst = 20, kLast = 60;
  std::vector<std::string> lines = absl::StrSplit(process_.ReadStderr(), '\n');
  if (std::ssize(lines) > kFirst + kLast) {
    const auto left_out = std::ssize(lines) - kFirst - kLast;
    lines.erase(lines.begin() + kFirst, lines.end() - kLast);
    lines.insert(lines.begin() + kFirst, absl::StrCat("[", left_out, " lines left out]"));
  }
  return absl::StrJoin(lines, "\n");
}

int ServerProcess::Terminate() {
  process_.Signal(SIGTERM);
  return process_.Wait();
}

}  // namespace kvroute::testing_support
