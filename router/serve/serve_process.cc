#include "router/serve/serve_process.h"

#include <algorithm>
#include <system_error>

#include "indexer/base/api_limits.h"
#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "indexer/base/log.h"
#include "indexer/base/named_thread.h"
#include "indexer/base/read_file.h"
#include "indexer/base/spare_memory.h"
#include "router/config/plaintext_fields.h"
#include "router/config/registration.h"
#include "router/rights/http_rights.h"

namespace kvroute {
namespace {

constexpr std::chrono::milliseconds kWatchInterval(500);
constexpr std::chrono::seconds kReturnInterval(10);
constexpr std::chrono::seconds kCertificateLooks(1);
constexpr std::chrono::seconds kSayChanges(1);
// Of the edges, of what looks after others, and of gRPC and libzmq for themselves.
constexpr size_t kFurtherThreads = 24;

ServeConfig FittedTo(const MemoryBudgets& memory, ServeConfig config) {
  for (const std::string& line : FitToMemory(memory, &config)) LogWarning("{}", line);
  return config;
}

// nullptr: plain text.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> CredentialsFrom(
    const std::string& fields, const TlsFiles& files, std::unique_ptr<CertificateFiles>* opened) {
  if (files.certificate_file.empty()) return nullptr;
  auto certificates = CertificateFiles::Open(fields, files);
  if (!certificates.ok()) return certificates.status();
  *opened = *std::move(certificates);
  (*opened)->Follow(kCertificateLooks);
  return (*opened)->Credentials();
}

// fetch empty: plain text.
absl::StatusOr<HttpServerTlsOptions> HttpTlsFrom(const std::string& fields, const TlsFiles& files,
                                                 std::unique_ptr<CertificateFiles>* opened) {
  if (files.certificate_file.empty()) return HttpServerTlsOptions();
  auto certificates = CertificateFiles::Open(fields, files);
  if (!certificates.ok()) return certificates.status();
  *opened = *std::move(certificates);
  (*opened)->Follow(kCertificateLooks);
  const auto fetch = [from = opened->get()](uint64_t* version, HttpServerCertificates* now) {
    Certificates changed;
    if (!from->FetchAfter(version, &changed)) return false;
    *now = {changed.certificate, changed.key, changed.client_ca};
    return true;
  };
  return HttpServerTlsOptions{fetch, files.client_certificate_required};
}

absl::Status At(std::string_view field, const absl::Status& status) {
  return Error(status.code(), "{}: {}", field, MessageOf(status));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServeProcess>> ServeProcess::Start(const ServeConfig& config,
                                                                  const ConfigFile& file) {
  std::unique_ptr<ServeProcess> process(new ServeProcess(config, file));
  if (absl::Status status = process->StartRights(); !status.ok()) return status;
  if (absl::Status status = process->StartIngest(); !status.ok()) return status;
  if (absl::Status status = process->StartFinders(); !status.ok()) return status;
  if (absl::Status status = process->StartGrpc(); !status.ok()) return status;
  if (absl::Status status = process->StartPicker(); !status.ok()) return status;
  if (absl::Status status = process->StartHttp(); !status.ok()) return status;
  if (absl::Status status = process->StartHttpJson(); !status.ok()) return status;
  process->StartWatcher(file);
  process->Tick();
  return process;
}

size_t ServeProcess::ThreadsOf(const ServeConfig& config) {
  const int lanes = config.ingest.zmq.lanes + config.ingest.zmq.io_threads;
  return static_cast<size_t>(lanes) + static_cast<size_t>(config.http.threads) +
         static_cast<size_t>(config.http_json.threads) + kFurtherThreads;
}

ServeProcess::ServeProcess(const ServeConfig& config, const ConfigFile& file)
    : given_(config),
      memory_(config.memory.LimitBytes(), CeilingsOf(config)),
      config_(FittedTo(memory_, config)),
      plan_(PlanFor(config_, memory_)),
      heap_return_(memory_.limit()),
      file_(file),
      index_({.max_streams = config.ingest.max_streams, .memory = &memory_.of(MemoryPart::kIndex)}),
      registry_(&index_, config.ingest.max_streams),
      loads_({.lease_timeout = config.routing.lease_timeout,
              .max_leases = config.routing.max_leases,
              .max_memory_bytes = memory_.of(MemoryPart::kLeases).limit()},
             clock_),
      registration_(RegistrationRulesOf(config)),
      readiness_(clock_) {}

// A lane may be about to tell the fleet of a stream.
ServeProcess::~ServeProcess() {
  if (engines_ != nullptr) engines_->Stop();
}

// The tokens are read again whenever their file says something else.
absl::Status ServeProcess::StartRights() {
  rights_.SetOptions(config_.rights);
  if (const std::string& file = config_.rights.token_file; !file.empty()) {
    const absl::StatusOr<std::string> text = ReadFile(file, limits::kMaxTokenFileBytes);
    KVROUTE_RETURN_IF_ERROR(rights_.SetTokens(text));
    token_watcher_ = std::make_unique<ConfigWatcher>(
        file, *text, kWatchInterval, [this](const absl::StatusOr<std::string>& changed) {
          const absl::Status status = rights_.SetTokens(changed);
          if (status.ok()) {
            LogInfo("rights.token_file: {} tokens are in force", rights_.GetReport().tokens);
          } else {
            LogError("{}; the tokens before stay in force", MessageOf(status));
          }
        });
  }
  LogInfo("rights: {}", rights_.Summary());
  for (const std::string& field : PlaintextFields(config_)) {
    LogWarning("{}: plain text, for whoever reaches this machine", field);
  }
  return absl::OkStatus();
}

absl::Status ServeProcess::StartIngest() {
  ZmqSourceOptions options = config_.ingest.zmq;
  options.stream.held_memory = &memory_.of(MemoryPart::kHeld);
  options.stream.pending_memory = &memory_.of(MemoryPart::kPending);
  options.received_memory = &memory_.of(MemoryPart::kReceived);
  options.client_networks = &registration_.networks;
  auto engines = ZmqSource::Start(options, &registry_, &ingest_counters_, clock_);
  if (!engines.ok()) return At("ingest", engines.status());
  engines_ = *std::move(engines);
  watchdog_.Watch("index-scrub", &index_.scrub_pulse());
  fleet_ = std::make_unique<Fleet>(
      FleetOptions{.max_streams = config_.ingest.max_streams, .registration = registration_},
      engines_.get(), &loads_);
  router_ = std::make_unique<Router>(RouterOptions{.default_policy = config_.routing.policy,
                                                   .tie_break_seed = config_.routing.tie_break_seed,
                                                   .max_text_pieces = plan_.text_pieces},
                                     &index_, fleet_.get(), &loads_, &routing_stats_, clock_);
  live_ = std::make_unique<LiveConfig>(given_, file_.name, file_.overrides, fleet_.get(),
                                       router_.get(), &rights_, clock_);
  if (absl::Status status = live_->ApplyInitial(); !status.ok()) return At("workers", status);
  for (size_t i = 0; i < config_.listeners.size(); ++i) {
    absl::Status status = engines_->AddListener(
        config_.listeners[i].config,
        [this](const DiscoveredStream& stream) { return fleet_->AddDiscovered(stream); },
        [this](StreamId stream) { fleet_->RemoveExpired(stream); });
    if (!status.ok()) return At(fmt::format("listeners[{}]", i), status);
  }
  return absl::OkStatus();
}

absl::Status ServeProcess::StartFinders() {
  auto client = HttpClient::Start({.memory = &memory_.of(MemoryPart::kReplies)});
  if (!client.ok()) return client.status();
  client_ = *std::move(client);
  watchdog_.Watch("http-client", &client_->pulse());
  finders_ =
      std::make_unique<EngineFinders>(client_.get(), fleet_.get(), engines_.get(), &watchdog_);
  DiscoveryConfig discovery = config_.discovery;
  // It is the picker that follows them.
  if (config_.picker.listen.empty()) discovery.kubernetes.request_rules = false;
  ScrapeConfig scrape = config_.scrape;
  scrape.options.client_networks = &registration_.networks;
  return finders_->Start(discovery, scrape);
}

absl::Status ServeProcess::StartGrpc() {
  auto credentials = CredentialsFrom("grpc.tls", config_.grpc.tls, &grpc_certificates_);
  if (!credentials.ok()) return credentials.status();
  auto grpc = GrpcServer::Start({.address = config_.grpc.listen,
                                 .credentials = *credentials,
                                 .max_threads = config_.grpc.max_threads,
                                 .max_connections = config_.grpc.max_connections,
                                 .max_memory_bytes = plan_.grpc_memory_bytes,
                                 .requests = &memory_.of(MemoryPart::kRequests),
                                 .rights = &rights_,
                                 .max_message_bytes = config_.grpc.max_message_bytes,
                                 .max_streams = config_.grpc.max_streams,
                                 .write_timeout = config_.grpc.write_timeout,
                                 .stream_idle_timeout = config_.grpc.stream_idle_timeout,
                                 .times = config_.grpc.times},
                                router_.get(), fleet_.get(), &routing_stats_);
  if (!grpc.ok()) return At("grpc.listen", grpc.status());
  grpc_ = *std::move(grpc);
  return absl::OkStatus();
}

void ServeProcess::StartRendering() {
  rendering_ = std::make_unique<PromptRendering>(config_.prompts, client_.get(),
                                                 &registration_.networks, clock_);
  rendering_->Follow(*fleet_->Snapshot());
}

absl::Status ServeProcess::StartPicker() {
  const PickerConfig& config = config_.picker;
  if (config.listen.empty()) return absl::OkStatus();
  StartRendering();
  PickerOptions options = config.options;
  options.fleet_known = finders_->Waiting().empty();
  absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> credentials = nullptr;
  if (config.tls == PickerTls::kSelfSigned) credentials = SelfSignedCredentials();
  if (config.tls == PickerTls::kFiles) {
    credentials = CredentialsFrom("picker", config.files, &picker_certificates_);
  }
  if (!credentials.ok()) return credentials.status();
  auto picker = PickerServer::Start({.address = config.listen,
                                     .credentials = *credentials,
                                     .plaintext_address = config.plaintext_listen,
                                     .health_address = config.health_listen,
                                     .max_connections = config.max_connections,
                                     .max_memory_bytes = plan_.picker_memory_bytes,
                                     .max_streams = config.max_streams,
                                     .rights = config.needs_role ? &rights_ : nullptr,
                                     .write_timeout = config.write_timeout,
                                     .picker = options},
                                    {.router = router_.get(),
                                     .fleet = fleet_.get(),
                                     .routing_stats = &routing_stats_,
                                     .stats = &picker_stats_,
                                     .bodies = &memory_.of(MemoryPart::kBodies),
                                     .renderer = rendering_->renderer(),
                                     .rules = finders_->request_rules(),
                                     .clock = clock_});
  if (!picker.ok()) return At("picker.listen", picker.status());
  picker_ = *std::move(picker);
  return absl::OkStatus();
}

// Both, before pages tell of either.
absl::Status ServeProcess::OpenHttpCertificates() {
  auto http = HttpTlsFrom("http.tls", config_.http.tls, &http_certificates_);
  if (!http.ok()) return http.status();
  http_tls_ = *std::move(http);
  if (config_.http_json.listen.empty()) return absl::OkStatus();
  auto json = HttpTlsFrom("http_json.tls", config_.http_json.tls, &http_json_certificates_);
  if (!json.ok()) return json.status();
  http_json_tls_ = *std::move(json);
  return absl::OkStatus();
}

absl::Status ServeProcess::StartHttp() {
  KVROUTE_RETURN_IF_ERROR(OpenHttpCertificates());
  HttpServer::Pages pages;
  pages["/metrics"] = {.handler = [this] { return MetricsPage(/*open=*/false); },
                       .open_metrics = [this] { return MetricsPage(/*open=*/true); },
                       .refused = RefusalOf(&rights_, Action::kMetricsPage)};
  pages["/healthz"] = {.handler = [this] { return HealthPage(); }, .quick = true};
  pages["/readyz"] = {.handler = [this] { return ReadyPage(); }, .quick = true};
  pages["/status"] = {.handler = [this] { return StatusPage(); },
                      .refused = RefusalOf(&rights_, Action::kStatusPage)};
  auto http = HttpServer::Start({.listen = config_.http.listen,
                                 .threads = config_.http.threads,
                                 .max_connections = plan_.http_connections,
                                 .max_unsent_bytes = plan_.unsent_page_bytes,
                                 .memory = &memory_.of(MemoryPart::kPages),
                                 .tls = http_tls_},
                                std::move(pages));
  if (!http.ok()) return At("http.listen", http.status());
  http_ = *std::move(http);
  for (const auto& [name, pulse] : http_->Pulses()) watchdog_.Watch(name, pulse);
  listening_.store(http_.get(), std::memory_order_release);
  return absl::OkStatus();
}

absl::Status ServeProcess::StartHttpJson() {
  const HttpJsonConfig& config = config_.http_json;
  if (config.listen.empty()) return absl::OkStatus();
  auto server = HttpJsonServer::Start({.listen = config.listen,
                                       .threads = config.threads,
                                       .body_limit_bytes = config.body_limit_bytes,
                                       .bodies_limit_bytes = config.bodies_limit_bytes,
                                       .max_connections = plan_.http_connections,
                                       .max_unsent_bytes = plan_.unsent_page_bytes,
                                       .bodies = &memory_.of(MemoryPart::kBodies),
                                       .pages = &memory_.of(MemoryPart::kPages),
                                       .allow_registration = config.allow_registration,
                                       .rights = &rights_,
                                       .tls = http_json_tls_,
                                       .mooncake_reply = config.mooncake_reply},
                                      fleet_.get(), router_.get());
  if (!server.ok()) return At("http_json.listen", server.status());
  http_json_ = *std::move(server);
  for (const auto& [name, pulse] : http_json_->http().Pulses()) {
    watchdog_.Watch("json-" + name, pulse);
  }
  json_listening_.store(&http_json_->http(), std::memory_order_release);
  return absl::OkStatus();
}

void ServeProcess::StartWatcher(const ConfigFile& file) {
  if (file.name.empty()) return;
  watcher_ = std::make_unique<ConfigWatcher>(
      file.name, file.text, kWatchInterval,
      [this](const absl::StatusOr<std::string>& text) { live_->Reload(text); },
      [this] { return KeyFilesOf(*live_->config()); });
}

std::string ServeProcess::Bound(const std::string& listen, int port) {
  return fmt::format("{}:{}", std::string_view(listen).substr(0, listen.rfind(':')), port);
}

std::string ServeProcess::Addresses() const {
  std::string addresses = fmt::format("grpc={} http={}", Bound(config_.grpc.listen, grpc_->port()),
                                      Bound(config_.http.listen, http_->port()));
  if (http_json_ != nullptr) {
    addresses += " http_json=" + Bound(config_.http_json.listen, http_json_->port());
  }
  if (picker_ == nullptr) return addresses;
  const auto add = [&](std::string_view name, const std::string& listen, int port) {
    if (port != 0) addresses += fmt::format(" {}={}", name, Bound(listen, port));
  };
  add("picker", config_.picker.listen, picker_->port());
  add("picker_plaintext", config_.picker.plaintext_listen, picker_->plaintext_port());
  add("picker_health", config_.picker.health_listen, picker_->health_port());
  return addresses;
}

void ServeProcess::Tick() {
  watchdog_.Sample(clock_->Monotonic());
  const bool ready = EvaluateReadiness().ready;
  grpc_->SetServing(ready);
  if (picker_ != nullptr) {
    picker_->SetServing(ready);
    picker_->SetFleetKnown(finders_->Waiting().empty());
  }
  if (rendering_ != nullptr) rendering_->Follow(*fleet_->Snapshot());
  if (const Nanos now = clock_->Monotonic(); now >= say_changes_at_) {
    say_changes_at_ = now + kSayChanges;
    fleet_log_.Follow(*fleet_->Snapshot());
  }
  if (const Nanos now = clock_->Monotonic(); now >= free_memory_at_) {
    free_memory_at_ = now + kReturnInterval;
    index_.ReturnFreeMemory();
    SpareMemory::SetAside();
  }
  uint64_t needed = kProcessBytes / 4 * 3;
  for (const MemoryReport::Part& part : PartsNow()) needed += part.used_bytes.value_or(0);
  heap_return_.Look(needed, clock_->Monotonic());
}

void ServeProcess::Reload() {
  if (watcher_ != nullptr) watcher_->Poke();
}

std::chrono::milliseconds ServeProcess::TakeLeave() {
  readiness_.End();
  grpc_->SetServing(false);
  if (picker_ != nullptr) picker_->SetServing(false);
  return live_->config()->shutdown_lame_duck;
}

void ServeProcess::Shutdown() {
  TakeLeave();       // probes see it while the requests under way still end
  watcher_.reset();  // a change of thousands of workers that is being applied takes its time
  const auto grace = live_->config()->shutdown_grace;
  ShutDownEdges(grace);
  http_.reset();  // its pages read what the other one has counted
  http_json_.reset();
}

// Both at once: they have one grace.
void ServeProcess::ShutDownEdges(std::chrono::milliseconds grace) {
  if (picker_ == nullptr) return grpc_->Shutdown(grace);
  NamedThread other;
  try {
    other = NamedThread("picker-shutdown", [this, grace] { picker_->Shutdown(grace); });
  } catch (const std::system_error&) {
    picker_->Shutdown(grace);  // the system gives no thread: it only takes longer
  }
  grpc_->Shutdown(grace);
}

Readiness::Report ServeProcess::EvaluateReadiness() {
  std::vector<std::string> waiting = finders_->Waiting();
  return readiness_.Evaluate(*fleet_->Snapshot(), live_->config()->readiness_grace,
                             std::move(waiting));
}

}  // namespace kvroute
