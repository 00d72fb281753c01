#include "tools/serve/serve_command.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "indexer/base/clock.h"
#include "indexer/base/error.h"
#include "indexer/base/heap.h"
#include "indexer/base/limits.h"
#include "indexer/base/log.h"
#include "indexer/base/read_file.h"
#include "indexer/base/stack_on_crash.h"
#include "indexer/base/thread_supply.h"
#include "kvroute_build_info.h"
#include "router/config/environment.h"
#include "router/serve/check_serve.h"
#include "router/serve/serve_process.h"
#include "tools/command_line/command_line.h"
#include "tools/convert/epp_config.h"
#include "tools/serve/service_manager.h"

namespace kvroute {
namespace {

constexpr int kCannotStart = 1;
constexpr int kUnusableInput = 2;

struct ServeFlags {
  std::string config, grpc_listen, http_listen, picker_listen, policy, log_level, log_format,
      ready_file;
  // As llm-d's picker calls them.
  std::string grpc_port, grpc_health_port, metrics_port, secure_serving, cert_path;
  std::string pool_name, pool_namespace, pool_group, selector, target_ports;
  std::string config_file, config_text;
  std::vector<std::string> workers, settings;
  bool check_config = false, print_config = false, describe_config = false;
};

// What a person wrote stays wrong until somebody mends it; what another process holds (a port, say)
// may be free a moment later: whoever supervises kvroute starts it again.
int Refuse(const absl::Status& status) {
  for (const std::string& line : ErrorsOf(status)) {
    std::fprintf(stderr, "kvroute: %s\n", line.c_str());
  }
  return status.code() == absl::StatusCode::kInvalidArgument ? kUnusableInput : kCannotStart;
}

// The flags that charts give llm-d's endpoint picker mean the same here.
absl::Status TakeLlmdFlags(const ServeFlags& flags, ConfigOverrides* overrides) {
  const std::tuple<const char*, const char*, const std::string*> ports[] = {
      {"--grpc-port", "picker.listen", &flags.grpc_port},
      {"--grpc-health-port", "picker.health_listen", &flags.grpc_health_port},
      {"--metrics-port", "http.listen", &flags.metrics_port}};
  for (const auto& [flag, path, port] : ports) {
    if (!port->empty()) overrides->SetField(flag, path, "0.0.0.0:" + *port);
  }
  const std::tuple<const char*, const char*, const std::string*> found[] = {
      {"--pool-name", "discovery.kubernetes.pool", &flags.pool_name},
      {"--pool-namespace", "discovery.kubernetes.namespace", &flags.pool_namespace},
      {"--endpoint-selector", "discovery.kubernetes.selector", &flags.selector},
      {"--endpoint-target-ports", "discovery.kubernetes.ports", &flags.target_ports}};
  for (const auto& [flag, path, text] : found) {
    if (!text->empty()) overrides->SetField(flag, path, *text);
  }
  const std::string& group = flags.pool_group;
  if (!group.empty() && group != "inference.networking.k8s.io" &&
      group != "inference.networking.x-k8s.io") {
    return InvalidArgument("--pool-group: \"{}\" has no InferencePool that kvroute knows", group);
  }
  const std::string& secure = flags.secure_serving;
  if (!secure.empty() && secure != "true" && secure != "false") {
    return InvalidArgument("--secure-serving: \"{}\" is neither true nor false", secure);
  }
  if (secure == "false") {
    overrides->SetField("--secure-serving", "picker.tls", "off");
  } else if (!flags.cert_path.empty()) {
    overrides->SetField("--cert-path", "picker.tls", "files");
    overrides->SetField("--cert-path", "picker.certificate_file", flags.cert_path + "/tls.crt");
    overrides->SetField("--cert-path", "picker.key_file", flags.cert_path + "/tls.key");
  }
  return absl::OkStatus();
}

// An EndpointPickerConfig takes the configuration file's place; it is not watched.
absl::Status TakeLlmdConfig(const ServeFlags& flags, ServeProcess::ConfigFile* file) {
  if (flags.config_file.empty() && flags.config_text.empty()) return absl::OkStatus();
  if (!flags.config.empty() || (!flags.config_file.empty() && !flags.config_text.empty())) {
    return InvalidArgument("--config, --config-file and --config-text: only one may be given");
  }
  std::string text = flags.config_text;
  if (!flags.config_file.empty()) {
    absl::StatusOr<std::string> read = ReadFile(flags.config_file, limits::kMaxConfigBytes);
    if (!read.ok()) return InvalidArgument("config {}", MessageOf(read.status()));
    text = *std::move(read);
  }
  // Pods that the flags name are those that are meant.
  const absl::StatusOr<ConvertedConfig> converted = ConvertEppConfig(
      text, flags.config_file.empty() ? "--config-text" : flags.config_file,
      {.pool = flags.pool_name, .kube_namespace = flags.pool_namespace, .ignore_unknown = false});
  if (!converted.ok()) return converted.status();
  for (const std::string& note : converted->notes) {
    std::fprintf(stderr, "kvroute: note: %s\n", note.c_str());
  }
  file->text = converted->yaml;
  return absl::OkStatus();
}

absl::StatusOr<ConfigOverrides> OverridesFrom(const ServeFlags& flags) {
  ConfigOverrides overrides;
  std::vector<std::string> environment;
  for (const char* const* variable = environ; *variable != nullptr; ++variable) {
    environment.emplace_back(*variable);
  }
  for (const std::string& line : TakeEnvironment(environment, &overrides)) {
    std::fprintf(stderr, "kvroute: warning: %s\n", line.c_str());
  }
  for (const std::string& setting : flags.settings) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) {
      return InvalidArgument("--set: \"{}\" is not field.path=value", setting);
    }
    overrides.SetField("--set", setting.substr(0, equals), setting.substr(equals + 1));
  }
  const std::tuple<const char*, const char*, const std::string*> fields[] = {
      {"--grpc-listen", "grpc.listen", &flags.grpc_listen},
      {"--http-listen", "http.listen", &flags.http_listen},
      {"--picker-listen", "picker.listen", &flags.picker_listen},
      {"--policy", "routing.policy", &flags.policy},
      {"--log-level", "log.level", &flags.log_level},
      {"--log-format", "log.format", &flags.log_format}};
  for (const auto& [flag, path, value] : fields) {
    if (!value->empty()) overrides.SetField(flag, path, *value);
  }
  if (absl::Status status = TakeLlmdFlags(flags, &overrides); !status.ok()) return status;
  for (const std::string& worker : flags.workers) {
    if (absl::Status status = overrides.AddWorker(worker); !status.ok()) return status;
  }
  return overrides;
}

// SIGTERM, SIGINT and SIGHUP, which only the main thread takes: every thread started later inherits
// the mask. What a closed pipe or a file at its limit costs is a write, not the process.
sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  return signals;
}

// A place where there can be no such file is a mistake; a full disk may have room a moment later.
absl::Status WriteReadyFile(const std::string& path, const std::string& line) {
  const std::string unfinished = path + ".tmp";  // so that nobody reads half a line
  std::ofstream out(unfinished);
  if (!out) return InvalidArgument("--ready-file: cannot open {}", unfinished);
  out << line;
  out.close();
  std::error_code error;
  if (out) std::filesystem::rename(unfinished, path, error);
  if (!out || error) {
    return Error(absl::StatusCode::kUnavailable, "--ready-file: cannot write {}", path);
  }
  return absl::OkStatus();
}

// The file first: who waits for the line may then rely on both.
absl::Status Announce(const ServeProcess& process, const std::string& ready_file) {
  const std::string line = fmt::format("kvroute: serving {}\n", process.Addresses());
  if (!ready_file.empty()) {
    if (absl::Status status = WriteReadyFile(ready_file, line); !status.ok()) return status;
  }
  TellServiceManager("READY=1");
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
  return absl::OkStatus();
}

// gRPC's own lines repeat what our errors say, in its own format; they are for who debugs. But for
// the last ones of a process that gRPC ends: they are the reason.
// protobuf's would go to standard error on the thread that parses, without a limit.
void TakeLibraryLogs() {
  gpr_set_log_function([](gpr_log_func_args* line) {
    LogDebug("grpc: {}", line->message);
    if (line->severity == GPR_LOG_SEVERITY_ERROR) {
      LogIfAborted(fmt::format("grpc: {}:{}: {}", line->file, line->line, line->message));
    }
  });
  google::protobuf::SetLogHandler(
      [](google::protobuf::LogLevel, const char*, int, const std::string& message) {
        LogDebug("protobuf: {}", message);
      });
}

constexpr timespec kTick = {.tv_sec = 0, .tv_nsec = 200'000'000};

// True: a signal says that it is to end.
bool Turn(const sigset_t& signals, ServeProcess* process) {
  const int signal = sigtimedwait(&signals, nullptr, &kTick);
  if (signal == SIGTERM || signal == SIGINT) {
    LogInfo("signal {}: shutting down", signal);
    return true;
  }
  if (signal == SIGHUP) process->Reload();
  process->Tick();
  return false;
}

// After the first signal all is served for a while by a process that says it is not ready; another
// one ends that.
void WaitForEnd(const sigset_t& signals, ServeProcess* process) {
  while (!Turn(signals, process)) {
  }
  const auto lame_duck = process->TakeLeave();
  const Nanos end = Clock::Real().Monotonic() + lame_duck;
  if (lame_duck.count() > 0) LogInfo("not ready, and still serving for {} ms", lame_duck.count());
  while (Clock::Real().Monotonic() < end && !Turn(signals, process)) {
  }
}

int Serve(const ServeFlags& flags) {
  if (flags.describe_config) {
    std::fputs(FieldReference().c_str(), stdout);
    return 0;
  }
  const absl::StatusOr<ConfigOverrides> overrides = OverridesFrom(flags);
  if (!overrides.ok()) return Refuse(overrides.status());
  ServeProcess::ConfigFile file{.name = flags.config, .text = "", .overrides = *overrides};
  if (!flags.config.empty()) {
    absl::StatusOr<std::string> text = ReadFile(flags.config, limits::kMaxConfigBytes);
    if (!text.ok()) return Refuse(InvalidArgument("config {}", MessageOf(text.status())));
    file.text = *std::move(text);
  }
  if (absl::Status status = TakeLlmdConfig(flags, &file); !status.ok()) return Refuse(status);
  const absl::StatusOr<ServeConfig> config = ParseConfig(file.text, file.name, file.overrides);
  if (!config.ok()) return Refuse(config.status());
  if (flags.print_config) std::fputs(PrintConfig(*config, overrides->SaidBy()).c_str(), stdout);
  if (flags.check_config) {
    if (absl::Status status = CheckServe(*config); !status.ok()) return Refuse(status);
  }
  if (flags.check_config || flags.print_config) return 0;

  ConfigureHeap();
  if (absl::Status status = TryThreads(ServeProcess::ThreadsOf(*config)); !status.ok()) {
    return Refuse(status);
  }
  const sigset_t signals = BlockSignals();
  if (absl::Status status = ConfigureLog(config->log); !status.ok()) return Refuse(status);
  WriteStackOnCrash();
  TakeLibraryLogs();
  auto process = ServeProcess::Start(*config, file);
  if (!process.ok()) return Refuse(process.status());
  if (absl::Status status = Announce(**process, flags.ready_file); !status.ok()) {
    return Refuse(status);
  }
  LogInfo("kvroute {} ({}) serving {}", kVersion, kCommit, (*process)->Addresses());
  WaitForEnd(signals, process->get());
  TellServiceManager("STOPPING=1");
  (*process)->Shutdown();
  process->reset();
  LogInfo("ended");
  return 0;
}

}  // namespace

void AddServeCommand(CommandLine* command_line) {
  const auto flags = std::make_shared<ServeFlags>();
  Command command = command_line->AddCommand(
      "serve", "Learn what every worker holds and answer where requests go");
  command.AddOption("--config", &flags->config, "YAML file; see docs/configuration.md");
  command.AddOption("--grpc-listen", &flags->grpc_listen,
                    "host:port of the API; port 0 takes a free one");
  command.AddOption("--http-listen", &flags->http_listen,
                    "host:port of /metrics, /healthz, /readyz, /status");
  command.AddOption("--picker-listen", &flags->picker_listen,
                    "host:port of the endpoint picker (ext_proc) of gateways");
  command.AddOption("--grpc-port", &flags->grpc_port,
                    "as llm-d's picker has it: port of the endpoint picker");
  command.AddOption("--grpc-health-port", &flags->grpc_health_port,
                    "as llm-d's picker has it: port of its health");
  command.AddOption("--metrics-port", &flags->metrics_port,
                    "as llm-d's picker has it: port of /metrics");
  command.AddOption("--secure-serving", &flags->secure_serving,
                    "as llm-d's picker has it: false for plain text");
  command.AddOption("--cert-path", &flags->cert_path,
                    "as llm-d's picker has it: folder of tls.crt and tls.key");
  command.AddOption("--pool-name", &flags->pool_name,
                    "as llm-d's picker has it: the InferencePool");
  command.AddOption("--pool-namespace", &flags->pool_namespace, "as llm-d's picker has it");
  command.AddOption("--pool-group", &flags->pool_group,
                    "as llm-d's picker has it; both groups are looked for anyway");
  command.AddOption("--endpoint-selector", &flags->selector,
                    "as llm-d's picker has it: labels of pods");
  command.AddOption("--endpoint-target-ports", &flags->target_ports,
                    "as llm-d's picker has it: ports of those pods");
  command.AddOption("--config-file", &flags->config_file,
                    "as llm-d's picker has it: an EndpointPickerConfig (see convert)");
  command.AddOption("--config-text", &flags->config_text, "the same, as text");
  command.AddOption("--policy", &flags->policy,
                    "work, lmetric, lpwl, prefix, least_loaded, round_robin or random");
  command.AddOption("--log-level", &flags->log_level, "trace, debug, info, warning, error or off");
  command.AddOption("--log-format", &flags->log_format, "text or json");
  command
      .AddOption(
          "--worker", &flags->workers,
          "id=w0,address=http://..,model=m,events=tcp://..[,replay=tcp://..]; may be repeated")
      .OneValueEachTime();
  command
      .AddOption("--set", &flags->settings, "field.path=value, any single field; may be repeated")
      .OneValueEachTime();
  command.AddOption("--ready-file", &flags->ready_file,
                    "written when serving, with the bound addresses");
  command.AddFlag("--check-config", &flags->check_config,
                  "refuse what serve would refuse: fields, files, addresses; then end");
  command.AddFlag("--print-config", &flags->print_config, "print what would be in force and end");
  command.AddFlag("--describe-config", &flags->describe_config,
                  "print every field as a table and end");
  command.SetAction([flags] { return Serve(*flags); });
}

}  // namespace kvroute
