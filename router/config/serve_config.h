#ifndef KVROUTE_ROUTER_CONFIG_SERVE_CONFIG_H_
#define KVROUTE_ROUTER_CONFIG_SERVE_CONFIG_H_

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "indexer/base/limits.h"
#include "indexer/base/log.h"
#include "indexer/source/zmq/zmq_options.h"
#include "router/config/field_visitor.h"
#include "router/edge/ext_proc/picker_options.h"
#include "router/edge/grpc_base/connection_times.h"
#include "router/edge/grpc_base/credentials.h"
#include "router/edge/http_json/mooncake_reply.h"
#include "router/fleet/discovery/dns.h"
#include "router/fleet/discovery/kubernetes.h"
#include "router/fleet/scrape/pushed_loads.h"
#include "router/fleet/scrape/scraper.h"
#include "router/fleet/worker_spec.h"
#include "router/policy/policy.h"
#include "router/prompt/render/http_renderer.h"
#include "router/rights/rights.h"

namespace kvroute {

struct GrpcConfig {
  std::string listen = "127.0.0.1:50051";  // what is wider must be said
  TlsFiles tls;
  int max_threads = limits::kMaxGrpcThreads;
  size_t max_memory_bytes = limits::kMaxGrpcMemoryBytes;
  size_t max_message_bytes = limits::kMaxGrpcMessageBytes;
  uint32_t max_streams = limits::kMaxGrpcStreams;
  size_t max_connections = limits::kMaxGrpcConnections;
  std::chrono::milliseconds write_timeout{10'000};
  std::chrono::milliseconds stream_idle_timeout{1'800'000};
  ConnectionTimes times;
};

struct PickerConfig {
  std::string listen = "";  // empty: no endpoint picker
  bool needs_role = true;
  PickerTls tls = PickerTls::kSelfSigned;
  TlsFiles files;
  std::string plaintext_listen = "";
  std::string health_listen = "";
  size_t max_connections = limits::kMaxPickerConnections;
  uint32_t max_streams = limits::kMaxPickerStreams;
  std::chrono::milliseconds write_timeout{10'000};
  PickerOptions options;
};

struct HttpConfig {
  std::string listen = "127.0.0.1:9108";  // likewise
  TlsFiles tls;
  int threads = 2;
  bool per_stream_metrics = true;
  bool llm_d_metrics = false;
};

struct HttpJsonConfig {
  std::string listen = "";  // empty: nobody listens
  TlsFiles tls;
  int threads = 2;
  size_t body_limit_bytes = size_t{8} << 20;
  size_t bodies_limit_bytes = size_t{256} << 20;
  bool allow_registration = true;
  MooncakeReply mooncake_reply = MooncakeReply::kInstances;
};

// Where workers may be that clients name; RegistrationRulesOf reads it.
struct RegistrationConfig {
  std::string networks = "";
  std::string names = "";
};

struct RoutingConfig {
  PolicyKind policy = PolicyKind::kWork;
  std::chrono::milliseconds lease_timeout{600'000};
  size_t max_leases = limits::kMaxLeases;
  uint64_t tie_break_seed = 0;  // 0: drawn at random
};

struct IngestConfig {
  ZmqSourceOptions zmq;
  size_t max_streams = limits::kMaxStreams;
};

struct MemoryConfig {
  uint64_t limit_bytes = 0;  // 0: so many hundredths of what this process may have
  static constexpr uint64_t kDefaultHundredths = 80;
  static constexpr uint64_t kLeastBytes = uint64_t{128} << 20;

  // With the default worked out for this machine and container.
  uint64_t LimitBytes() const;
};

// Who turns the text of prompts into tokens.
struct PromptsConfig {
  bool ask_engines = true;  // the model's own workers, where no renderer is named
  std::vector<RendererSpec> renderers;
  HttpRendererOptions http;
};

struct CurveFiles {
  std::string server_public_key_file;
  std::string client_public_key_file;
  std::string client_secret_key_file;
};

struct WorkerConfig {
  WorkerSpec spec;  // its keys are read from the files when the configuration is loaded
  CurveFiles curve;
  bool draining = false;
};

struct ListenerFields {
  ListenerConfig config;  // its key is read from the file when the configuration is loaded
  std::string curve_server_secret_key_file = "";
};

struct DnsName {
  std::string name;
};

// Where engines are looked for.
struct DiscoveryConfig {
  KubernetesOptions kubernetes;  // `ports` from the text
  std::string ports = "8000";
  std::string file;  // in llm-d's form; empty: none
  std::vector<DnsName> dns;
  std::chrono::milliseconds dns_interval{10'000};
  std::chrono::milliseconds not_ready_grace{300'000};
  EngineDefaults engines;

  bool UsesKubernetes() const { return !kubernetes.pool.empty() || !kubernetes.selector.empty(); }
};

struct ScrapeConfig {
  bool enabled = true;
  ScrapeOptions options;
  PushedLoadOptions pushed;
};

// Everything `kvroute serve` can be told, with its defaults.
struct ServeConfig {
  GrpcConfig grpc;
  PickerConfig picker;
  HttpConfig http;
  HttpJsonConfig http_json;
  RightsOptions rights;
  RegistrationConfig registration;
  RoutingConfig routing;
  IngestConfig ingest;
  MemoryConfig memory;
  PromptsConfig prompts;
  std::chrono::milliseconds readiness_grace{30'000};
  std::chrono::milliseconds shutdown_lame_duck{0};
  std::chrono::milliseconds shutdown_grace{5'000};
  LogOptions log;
  std::vector<ListenerFields> listeners;
  DiscoveryConfig discovery;
  ScrapeConfig scrape;
  std::vector<WorkerConfig> workers;
  // How many workers the file itself names, those of the command line not counted; nullopt: it has
  // no list of them, not even an empty one. No field.
  std::optional<size_t> workers_in_file;
};

// The one place that knows the fields' names, meanings, limits and whether they apply without a
// restart.
void VisitFields(FieldVisitor* visitor, ServeConfig* config);

// "8000,8001": HTTP ports of engines, by rank. INVALID_ARGUMENT: it is no such list.
absl::StatusOr<std::vector<uint32_t>> ParsePorts(const std::string& text);

// docs/configuration.md's table, one row a field.
std::string FieldReference();
// What is in force, as a file that reads back the same. Holds no secret: keys stay in their files.
// `said_by` (ConfigOverrides::SaidBy) stands as a comment behind the fields that it names.
std::string PrintConfig(const ServeConfig& config,
                        const std::map<std::string, std::string>& said_by = {});
// Paths of the fields that differ and need a restart to apply.
std::vector<std::string> FieldsThatNeedRestart(const ServeConfig& before, const ServeConfig& after);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_CONFIG_SERVE_CONFIG_H_
