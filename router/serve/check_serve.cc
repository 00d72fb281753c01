#include "router/serve/check_serve.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "indexer/base/error.h"
#include "indexer/telemetry/listening_socket.h"
#include "router/edge/grpc_base/certificate_files.h"

namespace kvroute {
namespace {

using Address = std::pair<std::string, const std::string*>;  // field, what it says

absl::Status CheckAddresses(const ServeConfig& config) {
  const std::vector<Address> addresses = {
      {"grpc.listen", &config.grpc.listen},
      {"http.listen", &config.http.listen},
      {"http_json.listen", &config.http_json.listen},
      {"picker.listen", &config.picker.listen},
      {"picker.plaintext_listen", &config.picker.plaintext_listen},
      {"picker.health_listen", &config.picker.health_listen}};
  std::map<std::string, std::string> taken;
  for (const auto& [field, address] : addresses) {
    if (address->empty()) continue;
    if (absl::Status status = CheckListen(*address); !status.ok()) {
      return Error(status.code(), "{}: {}", field, MessageOf(status));
    }
    if (address->ends_with(":0")) continue;
    if (const auto [first, is_new] = taken.emplace(*address, field); !is_new) {
      return InvalidArgument("{}: \"{}\" is that of {} as well", field, *address, first->second);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckCertificates(const std::string& fields, const TlsFiles& files) {
  if (files.certificate_file.empty()) return absl::OkStatus();
  return ReadCertificates(fields, files).status();
}

}  // namespace

absl::Status CheckServe(const ServeConfig& config) {
  KVROUTE_RETURN_IF_ERROR(CheckCertificates("grpc.tls", config.grpc.tls));
  if (!config.picker.listen.empty() && config.picker.tls == PickerTls::kFiles) {
    KVROUTE_RETURN_IF_ERROR(CheckCertificates("picker", config.picker.files));
  }
  return CheckAddresses(config);
}

}  // namespace kvroute
