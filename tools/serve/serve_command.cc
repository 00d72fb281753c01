#include "tools/serve/serve_command.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <signal.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "indexer/base/log.h"
#include "indexer/base/read_file.h"
#include "kvroute_build_info.h"
#include "router/serve/serve_process.h"
#include "tools/command_line/command_line.h"

namespace kvroute {
namespace {

constexpr int kCannotStart = 1;
constexpr int kUnusableInput = 2;

struct ServeFlags {
  std::string config, grpc_listen, http_listen, policy, log_level, log_format, ready_file;
  std::vector<std::string> workers, settings;
  bool check_config = false, print_config = false, describe_config = false;
};

// What a person wrote stays wrong until somebody mends it; what another process holds (a port, say)
// may be free a moment later: whoever supervises kvroute starts it again.
int Refuse(const absl::Status& status) {
  std::fprintf(stderr, "kvroute: %s\n", std::string(MessageOf(status)).c_str());
  return status.code() == absl::StatusCode::kInvalidArgument ? kUnusableInput : kCannotStart;
}

absl::StatusOr<ConfigOverrides> OverridesFrom(const ServeFlags& flags) {
  ConfigOverrides overrides;
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
      {"--policy", "routing.policy", &flags.policy},
      {"--log-level", "log.level", &flags.log_level},
      {"--log-format", "log.format", &flags.log_format}};
  for (const auto& [flag, path, value] : fields) {
    if (!value->empty()) overrides.SetField(flag, path, *value);
  }
  for (const std::string& worker : flags.workers) {
    if (absl::Status status = overrides.AddWorker(worker); !status.ok()) return status;
  }
  return overrides;
}

// SIGTERM, SIGINT and SIGHUP, which only the main thread takes: every thread started later inherits
// the mask.
sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

absl::Status WriteReadyFile(const std::string& path, const std::string& line) {
  const std::string unfinished = path + ".tmp";  // so that nobody reads half a line
  std::ofstream out(unfinished);
  out << line;
  out.close();
  std::error_code error;
  if (out) std::filesystem::rename(unfinished, path, error);
  if (!out || error) return InvalidArgument("--ready-file: cannot write {}", path);
  return absl::OkStatus();
}

// The file first: who waits for the line may then rely on both.
absl::Status Announce(const ServeProcess& process, const std::string& ready_file) {
  const std::string line = fmt::format("kvroute: serving {}\n", process.Addresses());
  if (!ready_file.empty()) {
    if (absl::Status status = WriteReadyFile(ready_file, line); !status.ok()) return status;
  }
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
  return absl::OkStatus();
}

// gRPC's own lines repeat what our errors say, in its own format; they are for who debugs.
// protobuf's would go to standard error on the thread that parses, without a limit.
void TakeLibraryLogs() {
  gpr_set_log_function([](gpr_log_func_args* line) { LogDebug("grpc: {}", line->message); });
  google::protobuf::SetLogHandler(
      [](google::protobuf::LogLevel, const char*, int, const std::string& message) {
        LogDebug("protobuf: {}", message);
      });
}

void WaitForEnd(const sigset_t& signals, ServeProcess* process) {
  constexpr timespec kTick = {.tv_sec = 0, .tv_nsec = 200'000'000};
  while (true) {
    const int signal = sigtimedwait(&signals, nullptr, &kTick);
    if (signal == SIGTERM || signal == SIGINT) {
      LogInfo("signal {}: shutting down", signal);
      return;
    }
    if (signal == SIGHUP) process->Reload();
    process->Tick();
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
  const absl::StatusOr<ServeConfig> config = ParseConfig(file.text, file.name, file.overrides);
  if (!config.ok()) return Refuse(config.status());
  if (flags.print_config) std::fputs(PrintConfig(*config).c_str(), stdout);
  if (flags.check_config || flags.print_config) return 0;

  const sigset_t signals = BlockSignals();
  if (absl::Status status = ConfigureLog(config->log); !status.ok()) return Refuse(status);
  TakeLibraryLogs();
  auto process = ServeProcess::Start(*config, file);
  if (!process.ok()) return Refuse(process.status());
  if (absl::Status status = Announce(**process, flags.ready_file); !status.ok()) {
    return Refuse(status);
  }
  LogInfo("kvroute {} ({}) serving {}", kVersion, kCommit, (*process)->Addresses());
  WaitForEnd(signals, process->get());
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
  command.AddOption("--policy", &flags->policy,
                    "lmetric, prefix, least_loaded, round_robin or random");
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
  command.AddFlag("--check-config", &flags->check_config, "only check the configuration");
  command.AddFlag("--print-config", &flags->print_config, "print what would be in force and end");
  command.AddFlag("--describe-config", &flags->describe_config,
                  "print every field as a table and end");
  command.SetAction([flags] { return Serve(*flags); });
}

}  // namespace kvroute
