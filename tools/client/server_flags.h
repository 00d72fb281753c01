#ifndef KVROUTE_TOOLS_CLIENT_SERVER_FLAGS_H_
#define KVROUTE_TOOLS_CLIENT_SERVER_FLAGS_H_

#include <string>

#include "absl/status/statusor.h"
#include "tools/client/client_options.h"
#include "tools/command_line/command_line.h"

namespace kvroute {

// How a command is told where kvroute is and how to speak to it; the same flags for every command.
struct ServerFlags {
  static constexpr int kGrpcPort = 50'051;
  static constexpr int kHttpPort = 9'108;

  std::string server;
  ClientSecurity security;
  double timeout_seconds = 10;

  // "--server", and `old_names` for who is used to them: ",--kvroute".
  void AddServer(Command* command, const std::string& old_names, const char* help);
  // TLS, token and timeout.
  void AddSecurity(Command* command);

  // INVALID_ARGUMENT names the flag.
  absl::StatusOr<ClientOptions> Options(int default_port) const;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_CLIENT_SERVER_FLAGS_H_
