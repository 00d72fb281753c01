#include "tools/client/server_flags.h"

namespace kvroute {

void ServerFlags::AddServer(Command* command, const std::string& old_names, const char* help) {
  command->AddOption(("--server" + old_names).c_str(), &server, help).ShowDefault();
}

void ServerFlags::AddSecurity(Command* command) {
  command->AddOption("--ca-file", &security.ca_file,
                     "PEM, who vouches for the server of an https:// or grpcs:// address");
  command->AddOption("--cert-file", &security.certificate_file, "PEM, our certificate, for mTLS");
  command->AddOption("--key-file", &security.key_file, "PEM, its private key");
  command->AddOption("--token-file", &security.token_file, "file with a bearer token");
  command->AddOption("--timeout", &timeout_seconds, "seconds that a call may take")
      .Between(0.001, 3'600.0)
      .ShowDefault();
}

absl::StatusOr<ClientOptions> ServerFlags::Options(int default_port) const {
  const auto address = ParseServerAddress("--server", server, default_port);
  if (!address.ok()) return address.status();
  return ClientOptions{
      .server = *address,
      .security = security,
      .timeout = std::chrono::milliseconds(static_cast<int64_t>(timeout_seconds * 1e3))};
}

}  // namespace kvroute
