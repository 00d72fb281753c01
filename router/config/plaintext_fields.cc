#include "router/config/plaintext_fields.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>

#include "absl/strings/match.h"

namespace kvroute {
namespace {

// Of "host:port" and "tcp://host:port".
std::string_view HostOf(std::string_view address) {
  if (const size_t scheme = address.find("://"); scheme != std::string_view::npos) {
    address.remove_prefix(scheme + 3);
  }
  return address.substr(0, address.rfind(':'));
}

}  // namespace

bool IsLoopbackHost(std::string_view host) {
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  const std::string text(host);
  if (absl::EqualsIgnoreCase(text, "localhost")) return true;
  in_addr v4{};
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  return inet_pton(AF_INET6, text.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool IsLoopbackAddress(std::string_view address) { return IsLoopbackHost(HostOf(address)); }

std::vector<std::string> PlaintextFields(const ServeConfig& config) {
  std::vector<std::string> found;
  const auto add = [&found](const std::string& field, const std::string& address, bool plain) {
    if (!plain || address.empty() || IsLoopbackAddress(address)) return;
    found.push_back(fmt::format("{}: {}", field, address));
  };
  add("grpc.listen", config.grpc.listen, config.grpc.tls.certificate_file.empty());
  add("http.listen", config.http.listen, config.http.tls.certificate_file.empty());
  add("http_json.listen", config.http_json.listen, config.http_json.tls.certificate_file.empty());
  add("picker.listen", config.picker.listen, config.picker.tls == PickerTls::kOff);
  add("picker.plaintext_listen", config.picker.plaintext_listen, true);
  add("picker.health_listen", config.picker.health_listen, true);
  for (size_t i = 0; i < config.listeners.size(); ++i) {
    const ListenerFields& listener = config.listeners[i];
    const bool plain = listener.curve_server_secret_key_file.empty();
    add(fmt::format("listeners[{}].endpoint", i), listener.config.endpoint, plain);
  }
  return found;
}

}  // namespace kvroute
