#ifndef KVROUTE_ROUTER_CONFIG_SERVE_CONFIG_H_
#define KVROUTE_ROUTER_CONFIG_SERVE_CONFIG_H_

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "indexer/base/limits.h"
#include "indexer/base/log.h"
#include "indexer/source/zmq/zmq_options.h"
#include "router/config/field_visitor.h"
#include "router/edge/grpc_v1/credentials.h"
#include "router/fleet/worker_spec.h"
#include "router/policy/policy.h"

namespace kvroute {

struct GrpcConfig {
  std::string listen = "0.0.0.0:50051";
  TlsFiles tls;
  int max_threads = limits::kMaxGrpcThreads;
  size_t max_memory_bytes = limits::kMaxGrpcMemoryBytes;
  size_t max_message_bytes = limits::kMaxGrpcMessageBytes;
  uint32_t max_streams = limits::kMaxGrpcStreams;
};

struct HttpConfig {
  std::string listen = "0.0.0.0:9108";
  int threads = 2;
  bool per_stream_metrics = true;
};

struct RoutingConfig {
  PolicyKind policy = PolicyKind::kLmetric;
  std::chrono::milliseconds lease_timeout{600'000};
  size_t max_leases = limits::kMaxLeases;
  uint64_t tie_break_seed = 0;  // 0: drawn at random
};

struct IngestConfig {
  ZmqSourceOptions zmq;
  size_t max_streams = limits::kMaxStreams;
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

// Everything `kvroute serve` can be told, with its defaults.
struct ServeConfig {
  GrpcConfig grpc;
  HttpConfig http;
  RoutingConfig routing;
  IngestConfig ingest;
  std::chrono::milliseconds readiness_grace{30'000};
  std::chrono::milliseconds shutdown_grace{5'000};
  LogOptions log;
  std::vector<ListenerFields> listeners;
  std::vector<WorkerConfig> workers;
};

// The one place that knows the fields' names, meanings, limits and whether they apply without a
// restart.
void VisitFields(FieldVisitor* visitor, ServeConfig* config);

// docs/configuration.md's table, one row a field.
std::string FieldReference();
// What is in force, as a file that reads back the same. Holds no secret: keys stay in their files.
std::string PrintConfig(const ServeConfig& config);
// Paths of the fields that differ and need a restart to apply.
std::vector<std::string> FieldsThatNeedRestart(const ServeConfig& before, const ServeConfig& after);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_CONFIG_SERVE_CONFIG_H_
