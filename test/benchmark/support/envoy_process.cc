#include "test/benchmark/support/envoy_process.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "indexer/base/check.h"

namespace kvroute {
namespace {

constexpr char kListener[] = R"(
  - name: gateway-{0}
    address: {{socket_address: {{address: 127.0.0.1, port_value: {0}}}}}
    per_connection_buffer_limit_bytes: 16777216
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: gateway
          http_protocol_options: {{enable_trailers: true}}
          stream_idle_timeout: 0s
          route_config:
            virtual_hosts:
            - name: inference
              domains: ["*"]
              routes: [{{match: {{prefix: /}}, route: {{cluster: engines, timeout: 0s, idle_timeout: 0s}}}}]
          http_filters:
          - name: envoy.filters.http.ext_proc
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor
              grpc_service: {{envoy_grpc: {{cluster_name: picker-{1}}}}}
              processing_mode:
                request_header_mode: SEND
                request_body_mode: FULL_DUPLEX_STREAMED
                request_trailer_mode: SEND
                response_header_mode: {2}
                response_body_mode: {3}
                response_trailer_mode: {2}
              message_timeout: 30s
              metadata_options:
                forwarding_namespaces: {{untyped: [envoy.lb, envoy.lb.subset_hint]}}
                receiving_namespaces: {{untyped: [envoy.lb]}}
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
)";

constexpr char kPicker[] = R"(
  - name: picker-{0}
    type: STATIC
    connect_timeout: 1s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http2_protocol_options: {{}}}}
    load_assignment:
      cluster_name: picker-{0}
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {0}}}}}}}}}]}}]
)";

constexpr char kEngines[] = R"(
  - name: engines
    type: ORIGINAL_DST
    lb_policy: CLUSTER_PROVIDED
    connect_timeout: 1s
    original_dst_lb_config: {use_http_header: true, http_header_name: x-gateway-destination-endpoint}
)";

std::string ConfigOf(const std::vector<EnvoyProcess::Gateway>& gateways) {
  std::string listeners, clusters = kEngines;
  std::vector<int> pickers;
  for (const EnvoyProcess::Gateway& gateway : gateways) {
    listeners += fmt::format(kListener, gateway.port, gateway.picker_port,
                             gateway.shows_response ? "SEND" : "SKIP",
                             gateway.shows_response ? "FULL_DUPLEX_STREAMED" : "NONE");
    if (std::find(pickers.begin(), pickers.end(), gateway.picker_port) != pickers.end()) continue;
    pickers.push_back(gateway.picker_port);
    clusters += fmt::format(kPicker, gateway.picker_port);
  }
  return fmt::format("static_resources:\n  listeners:{}\n  clusters:{}\n", listeners, clusters);
}

bool Accepts(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  const bool accepts = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  return accepts;
}

}  // namespace

std::string EnvoyProcess::Binary() {
  const char* const given = std::getenv("KVROUTE_ENVOY");
  const std::string path = given != nullptr ? given : KVROUTE_ENVOY_PATH;
  return access(path.c_str(), X_OK) == 0 ? path : "";
}

EnvoyProcess::EnvoyProcess(const std::vector<Gateway>& gateways, const cpu_set_t& cores) {
  config_path_ = std::filesystem::temp_directory_path() / "kvroute-envoy-XXXXXX.yaml";
  const int file = mkstemps(config_path_.data(), 5);
  KVROUTE_CHECK(file >= 0);
  close(file);
  std::ofstream(config_path_) << ConfigOf(gateways);
  const std::string binary = Binary();
  const char* const words[] = {
      binary.c_str(),          "-c", config_path_.c_str(), "--concurrency", "1",
      "--use-dynamic-base-id", "-l", "critical",           nullptr};
  pid_ = fork();
  KVROUTE_CHECK(pid_ >= 0);
  if (pid_ == 0) {
    sched_setaffinity(0, sizeof cores, &cores);
    execv(words[0], const_cast<char* const*>(words));
    _exit(127);
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!Accepts(gateways.back().port)) {
    KVROUTE_CHECK(std::chrono::steady_clock::now() < end && waitpid(pid_, nullptr, WNOHANG) == 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

EnvoyProcess::~EnvoyProcess() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  unlink(config_path_.c_str());
}

}  // namespace kvroute
