#include "router/config/serve_config.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "indexer/base/error.h"
#include "router/config/config_printer.h"

namespace kvroute {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kLive = Applies::kLive;

absl::Status CheckListen(const std::string& listen) {
  const size_t colon = listen.rfind(':');
  uint32_t port = 0;
  if (colon == std::string::npos || colon == 0 ||
      listen.find_first_of(", \t") != std::string::npos ||
      !absl::SimpleAtoi(listen.substr(colon + 1), &port) || port > 65'535) {
    return InvalidArgument("listen: \"{}\" is not host:port with a port from 0 to 65535", listen);
  }
  return absl::OkStatus();
}

absl::Status CheckTls(const TlsFiles& tls) {
  if (tls.certificate_file.empty() != tls.key_file.empty()) {
    return absl::InvalidArgumentError(
        "certificate_file: certificate_file and key_file must both be given or both be empty");
  }
  if (!tls.client_ca_file.empty() && tls.certificate_file.empty()) {
    return absl::InvalidArgumentError(
        "client_ca_file: needs certificate_file and key_file as well");
  }
  return absl::OkStatus();
}

void VisitGrpc(FieldVisitor* v, GrpcConfig* grpc) {
  v->Text({"listen", "Address of the API; port 0 takes a free one."}, {.required = false},
          &grpc->listen);
  v->Check([grpc] { return CheckListen(grpc->listen); });
  v->Group({"tls", ""}, [&] {
    v->Text({"certificate_file", "PEM, the chain this server shows; empty: plain text."}, {},
            &grpc->tls.certificate_file);
    v->Text({"key_file", "PEM, its private key."}, {}, &grpc->tls.key_file);
    v->Text(
        {"client_ca_file", "PEM; when given, clients must show a certificate signed by it (mTLS)."},
        {}, &grpc->tls.client_ca_file);
    v->Check([grpc] { return CheckTls(grpc->tls); });
  });
  v->Number(
      {"max_threads",
       "For Explain, Fleet, health and reflection; a call beyond them gets RESOURCE_EXHAUSTED."},
      "threads", 2, 4'096, &grpc->max_threads);
  v->Number({"max_memory", "gRPC's own buffers."}, "bytes", 16 << 20, uint64_t{64} << 30,
            &grpc->max_memory_bytes);
  v->Number({"max_message", "A longer request gets RESOURCE_EXHAUSTED."}, "bytes", 1 << 10,
            256 << 20, &grpc->max_message_bytes);
  v->Number({"max_streams", "RouteStream and ScoreStream calls open at once."}, "streams", 1, 4'096,
            &grpc->max_streams);
}

void VisitHttp(FieldVisitor* v, HttpConfig* http) {
  v->Text(
      {"listen", "Address of /metrics, /healthz, /readyz and /status; port 0 takes a free one."},
      {}, &http->listen);
  v->Check([http] { return CheckListen(http->listen); });
  v->Number({"threads", "/metrics and /status pages put together at once; probes wait for none."},
            "threads", 1, 64, &http->threads);
  v->Bool({"per_stream_metrics", "kvroute_stream_* metrics, 17 series a stream.", kLive},
          &http->per_stream_metrics);
}

void VisitRouting(FieldVisitor* v, RoutingConfig* routing) {
  v->Choice({"policy", "Used when a request names none.", kLive}, kPolicyNames, &routing->policy);
  v->Millis({"lease_timeout",
             "A routed request whose end is never told stops counting as load after this."},
            milliseconds(100), hours(24), &routing->lease_timeout);
  v->Number({"max_leases", "Routed requests under way; Route gets RESOURCE_EXHAUSTED beyond."},
            "leases", 1, 100'000'000, &routing->max_leases);
  v->Number({"tie_break_seed",
             "For tests and simulations: which of equally good targets is chosen can be foretold. "
             "0: drawn at random."},
            "", 0, UINT32_MAX, &routing->tie_break_seed);
}

void VisitIngest(FieldVisitor* v, IngestConfig* ingest) {
  ZmqSourceOptions* const zmq = &ingest->zmq;
  StreamOptions* const stream = &zmq->stream;
  v->Number({"lanes", "Threads that receive and apply events; a stream stays on one."}, "threads",
            1, 256, &zmq->lanes);
  v->Number({"io_threads", "libzmq's own."}, "threads", 1, 64, &zmq->io_threads);
  v->Number({"receive_high_water_mark",
             "Batches queued for one stream; what the engine drops beyond is seen as a gap."},
            "batches", 1, 10'000'000, &zmq->receive_high_water_mark);
  v->Millis({"replay_timeout", "Without any reply from the engine, a replay attempt has failed."},
            milliseconds(10), hours(1), &stream->replay_timeout);
  v->Number({"replay_attempts", "Requests for the same hole."}, "attempts", 1, 100,
            &stream->replay_attempts);
  v->Millis({"replay_limit", "One replay in all, however many attempts it takes."},
            milliseconds(10), hours(24), &stream->replay_limit);
  v->Millis({"probe_after_idle",
             "After so much silence the engine is asked whether there is more: a lost last batch "
             "shows in nothing else."},
            milliseconds(10), hours(1), &stream->probe_after_idle);
  v->Millis({"fresh_start_after",
             "After a loss that may have been passing, until the engine is asked for everything "
             "again; doubles up to 64 times."},
            milliseconds(10), hours(24), &stream->fresh_start_after);
  v->Millis({"reconnect_min", "First pause before connecting again; doubles each time."},
            milliseconds(1), hours(1), &zmq->reconnect_min);
  v->Millis({"reconnect_max", "Longest such pause."}, milliseconds(1), hours(1),
            &zmq->reconnect_max);
  v->Millis({"heartbeat_interval", "Between pings on an idle connection; 0: none."},
            milliseconds(0), hours(1), &zmq->heartbeat_interval);
  v->Number({"max_held_batches", "Live batches of one stream held while its replay runs."},
            "batches", 1, 100'000'000, &stream->max_held_batches);
  v->Number({"max_held_memory", "Bytes of those batches."}, "bytes", 1 << 16, uint64_t{64} << 30,
            &stream->max_held_memory_bytes);
  v->Number({"max_pending_memory", "Stored events of one stream whose parent is unknown."}, "bytes",
            0, uint64_t{64} << 30, &stream->max_pending_memory_bytes);
  v->Number({"max_streams", "Streams (worker ranks) in all."}, "streams", 1, limits::kMaxStreams,
            &ingest->max_streams);
  v->Check([zmq] {
    if (zmq->reconnect_min <= zmq->reconnect_max) return absl::OkStatus();
    return InvalidArgument("reconnect_min: {} is above reconnect_max, {}",
                           FormatDuration(zmq->reconnect_min), FormatDuration(zmq->reconnect_max));
  });
}

void VisitListener(FieldVisitor* v, ListenerFields* fields) {
  ListenerConfig* const listener = &fields->config;
  v->Text({"endpoint", "ZeroMQ address to bind; engines connect to it."},
          {.max_bytes = limits::kMaxEndpointBytes, .required = true}, &listener->endpoint);
  v->Text({"topic", "Topics to take; the part behind kv@ names worker and model."},
          {.max_bytes = limits::kMaxTopicBytes}, &listener->topic);
  v->Choice({"engine", "Wire dialect of the engines."}, kEngineKindNames, &listener->engine);
  v->Number({"replay_port", "Of every engine's replay socket, at the host in its topic; 0: none."},
            "", 0, 65'535, &listener->replay_port);
  v->Number({"max_discovered_streams",
             "Topics followed at once; new ones beyond it are left out and counted."},
            "streams", 1, limits::kMaxStreams, &listener->max_discovered_streams);
  v->Millis(
      {"expire_after",
       "A stream whose connection is lost is forgotten, with its worker, after so much silence "
       "of its engine; 0: never."},
      milliseconds(0), hours(24), &listener->expire_after);
  v->Group({"curve", ""}, [&] {
    v->Text({"server_secret_key_file",
             "ZeroMQ CURVE, Z85 text; engines must know its public half. Empty: plain text."},
            {}, &fields->curve_server_secret_key_file);
  });
}

void VisitCopies(FieldVisitor* v, std::optional<CopyMode>* copies) {
  constexpr std::string_view kByEngine = "by_engine";
  std::string text(copies->has_value() ? kCopyModeNames[**copies] : kByEngine);
  std::vector<std::string_view> choices = {kByEngine};
  choices.insert(choices.end(), kCopyModeNames.begin(), kCopyModeNames.end());
  v->Text(
      {"copies", "What a second store of a held block means: another copy, or nothing new.", kLive},
      {.choices = std::move(choices)}, &text);
  *copies = kCopyModeNames.Parse(text);
}

void VisitWorker(FieldVisitor* v, WorkerConfig* worker) {
  WorkerSpec& spec = worker->spec;
  v->Text({"worker_id", "Name of the worker in answers, metrics and logs; printable ASCII.", kLive},
          {.max_bytes = limits::kMaxWorkerIdBytes, .required = true}, &spec.worker_id);
  v->Text({"address", "Given to the gateway as it is.", kLive},
          {.max_bytes = limits::kMaxAddressBytes, .required = true}, &spec.address);
  v->Text({"model", "What it serves.", kLive},
          {.max_bytes = limits::kMaxModelBytes, .required = true}, &spec.model);
  v->Choice({"engine", "Wire dialect where two engines use the same bytes differently.", kLive},
            kEngineKindNames, &spec.engine);
  v->Number(
      {"block_size_tokens", "Of the engine's KV cache; 0: learned from its first event.", kLive},
      "tokens", 0, limits::kMaxBlockSizeTokens, &spec.block_size_tokens);
  v->Text({"event_endpoint", "ZeroMQ PUB socket of rank 0; rank r is at port + r.", kLive},
          {.max_bytes = limits::kMaxEndpointBytes, .required = true}, &spec.event_endpoint);
  v->Text({"replay_endpoint", "ZeroMQ ROUTER socket of rank 0; empty: the engine has none.", kLive},
          {.max_bytes = limits::kMaxEndpointBytes}, &spec.replay_endpoint);
  v->Text({"topic", "Subscription prefix; empty: all.", kLive},
          {.max_bytes = limits::kMaxTopicBytes}, &spec.topic);
  v->Number({"data_parallel_size", "Ranks, each with its own stream.", kLive}, "ranks", 1,
            limits::kMaxDataParallelSize, &spec.data_parallel_size);
  v->ListOf(
      Field{"rank_overrides", "Ranks whose endpoints do not follow the rule, e.g. on other hosts.",
            kLive},
      limits::kMaxDataParallelSize, &spec.rank_overrides, [v](RankEndpoints* rank) {
        v->Number({"rank", "Which.", kLive}, "", 0, limits::kMaxDataParallelSize - 1, &rank->rank);
        v->Text({"event_endpoint", "Its PUB socket.", kLive},
                {.max_bytes = limits::kMaxEndpointBytes, .required = true}, &rank->event_endpoint);
        v->Text({"replay_endpoint", "Its ROUTER socket; empty: none.", kLive},
                {.max_bytes = limits::kMaxEndpointBytes}, &rank->replay_endpoint);
      });
  VisitCopies(v, &spec.copies);
  v->Bool({"bigram", "SGLang with EAGLE speculative decoding.", kLive}, &spec.bigram);
  v->Number(
      {"max_requests_in_flight", "Of each rank, beyond which it is left out; 0: no limit.", kLive},
      "requests", 0, 1'000'000, &spec.max_requests_in_flight);
  v->Bool({"draining", "Keeps its leases and gets no new requests.", kLive}, &worker->draining);
  v->Group({"curve", ""}, [&] {
    v->Text({"server_public_key_file", "ZeroMQ CURVE, Z85 text; all three files or none.", kLive},
            {}, &worker->curve.server_public_key_file);
    v->Text({"client_public_key_file", "kvroute's own key for this engine.", kLive}, {},
            &worker->curve.client_public_key_file);
    v->Text({"client_secret_key_file", "Its secret half.", kLive}, {},
            &worker->curve.client_secret_key_file);
  });
  v->Check([&spec] { return ValidateWorker(spec); });
}

absl::Status CheckWorkerIds(const std::vector<WorkerConfig>& workers) {
  std::vector<std::string_view> ids;
  ids.reserve(workers.size());
  for (const WorkerConfig& worker : workers) ids.push_back(worker.spec.worker_id);
  std::sort(ids.begin(), ids.end());
  const auto twice = std::adjacent_find(ids.begin(), ids.end());
  if (twice == ids.end()) return absl::OkStatus();
  return InvalidArgument("workers: worker_id \"{}\" is used twice", *twice);
}

}  // namespace

void VisitFields(FieldVisitor* v, ServeConfig* config) {
  v->Group({"grpc", ""}, [&] { VisitGrpc(v, &config->grpc); });
  v->Group({"http", ""}, [&] { VisitHttp(v, &config->http); });
  v->Group({"routing", ""}, [&] { VisitRouting(v, &config->routing); });
  v->Group({"ingest", ""}, [&] { VisitIngest(v, &config->ingest); });
  v->Group({"readiness", ""}, [&] {
    v->Millis({"grace",
               "After this /readyz is ready even if configured streams are still cold or syncing.",
               kLive},
              milliseconds(0), hours(24), &config->readiness_grace);
  });
  v->Group({"shutdown", ""}, [&] {
    v->Millis({"grace", "On SIGTERM, calls under way may end for this long.", kLive},
              milliseconds(0), seconds(600), &config->shutdown_grace);
  });
  v->Group({"log", ""}, [&] {
    v->Text({"level", "Least severe lines written to standard error.", kLive},
            {.choices = {"trace", "debug", "info", "warning", "error", "off"}}, &config->log.level);
    v->Text({"format", "text, or one JSON object a line.", kLive}, {.choices = {"text", "json"}},
            &config->log.format);
  });
  v->ListOf(Field{"listeners", "Sockets that engines connect to."}, limits::kMaxListeners,
            &config->listeners, [v](ListenerFields* listener) { VisitListener(v, listener); });
  v->ListOf(Field{"workers", "Engines kvroute connects to.", kLive}, limits::kMaxStreams,
            &config->workers, [v](WorkerConfig* worker) { VisitWorker(v, worker); });
  v->Check([config] { return CheckWorkerIds(config->workers); });
}

std::string FieldReference() {
  ServeConfig defaults;
  ConfigPrinter printer(ConfigPrinter::Purpose::kDescriptions);
  VisitFields(&printer, &defaults);
  std::string out =
      "| field | type | default | range | applies | meaning |\n|---|---|---|---|---|---|\n";
  for (const FieldDescription& field : printer.descriptions()) {
    const std::string value = field.default_value.empty() ? "" : "`" + field.default_value + "`";
    out += fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", field.path, field.type, value,
                       field.range, field.applies == kLive ? "live" : "restart", field.help);
  }
  return out;
}

std::string PrintConfig(const ServeConfig& config) {
  ServeConfig copy = config;
  ConfigPrinter printer(ConfigPrinter::Purpose::kValues);
  VisitFields(&printer, &copy);
  return printer.yaml();
}

std::vector<std::string> FieldsThatNeedRestart(const ServeConfig& before,
                                               const ServeConfig& after) {
  ConfigPrinter old_values(ConfigPrinter::Purpose::kValues);
  ConfigPrinter new_values(ConfigPrinter::Purpose::kValues);
  ServeConfig old_copy = before, new_copy = after;
  VisitFields(&old_values, &old_copy);
  VisitFields(&new_values, &new_copy);
  std::vector<std::string> changed;
  for (const auto& [path, value] : new_values.values()) {
    const auto old = old_values.values().find(path);
    const bool same = old != old_values.values().end() && old->second.text == value.text;
    if (value.applies == Applies::kRestart && !same) changed.push_back(path);
  }
  return changed;  // an item that went shows in its list's count
}

}  // namespace kvroute
