#include "tools/engine/engine_command.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <signal.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "indexer/base/error.h"
#include "tools/command_line/command_line.h"
#include "tools/engine/engine_server.h"
#include "tools/fleet/engine_flags.h"

namespace kvroute {
namespace {

constexpr int kCannotStart = 1;
constexpr int kBadUsage = 2;
constexpr int kMaxPort = 65'535;

struct Arguments {
  EngineFlags engine;
  uint32_t engines = 1;
  uint32_t ranks = 1;
  std::string host = "127.0.0.1";
  int port = 8'000, event_port = 5'557;
  bool each_own_address = false;
  bool replay = true;
  std::string name = "engine";
  std::string topic;
  std::string style = "vllm_map";
  ServedModels models;
  AnswerOptions answer;
  bool render = true;
  double speedup = 1;
  int threads = 2;
  std::string endpoints_file;
};

void AddAddressOptions(Command* command, Arguments* arguments) {
  command->AddOption("--engines", &arguments->engines, "How many")
      .Between(1u, 4'096u)
      .ShowDefault();
  command
      ->AddOption("--ranks", &arguments->ranks,
                  "Data-parallel ranks of each, behind one port; see X-data-parallel-rank")
      .Between(1u, 64u)
      .ShowDefault();
  command->AddOption("--host", &arguments->host, "IPv4 address to bind").ShowDefault();
  command
      ->AddOption("--port", &arguments->port,
                  "HTTP port of the first engine; the others have those behind it. 0: free ones")
      .Between(0, kMaxPort)
      .ShowDefault();
  command
      ->AddOption("--event-port", &arguments->event_port,
                  "ZeroMQ port of the first rank; the others have those behind it, and the replay "
                  "sockets those behind them all. 0: free ones")
      .Between(0, kMaxPort)
      .ShowDefault();
  command->AddFlag("--each-own-address", &arguments->each_own_address,
                   "Engines have consecutive addresses and the same ports, as pods have: "
                   "127.0.0.1, 127.0.0.2, ...");
  command->AddFlag("!--no-replay", &arguments->replay, "Without replay sockets");
  command->AddOption("--endpoints-file", &arguments->endpoints_file,
                     "File to write where the engines are, in llm-d's form of file discovery");
}

void AddServedOptions(Command* command, Arguments* arguments) {
  command->AddOption("--name", &arguments->name, "Engines are called NAME-0, NAME-1, ...")
      .ShowDefault();
  command->AddOption("--topic", &arguments->topic, "Of their events").ShowDefault();
  command
      ->AddOption("--style", &arguments->style,
                  "vllm_positional, vllm_map, vllm_bytes or sglang_map: events and metrics")
      .ShowDefault();
  command->AddOption("--model", &arguments->models.base, "Served model").ShowDefault();
  command->AddOption("--lora", &arguments->models.adapters, "LoRA adapters of it, by name")
      .SplitAt(',');
  command
      ->AddOption("--max-model-len", &arguments->models.max_model_tokens,
                  "Tokens of a prompt and its answer")
      .Between(2u, 4'194'304u)
      .ShowDefault();
  command
      ->AddOption("--output-tokens", &arguments->answer.natural_tokens,
                  "After so many an answer ends by itself")
      .Between(1u, 1'000'000u)
      .ShowDefault();
  command->AddFlag("!--no-cached-tokens", &arguments->answer.report_cached_tokens,
                   "Usage does not say how many tokens were cached");
  command->AddFlag("!--no-render", &arguments->render,
                   "404 on /render, as vLLM without --enable-scale-out");
  arguments->engine.AddTo(command);
  command->AddOption("--speedup", &arguments->speedup, "Simulated seconds that pass in a real one")
      .Between(1e-3, 1e9)
      .ShowDefault();
  command->AddOption("--threads", &arguments->threads, "That read requests and write answers")
      .Between(1, 64)
      .ShowDefault();
}

// Where engine `i` is: its address, and the ports of its sockets.
absl::StatusOr<std::string> HostOf(const Arguments& arguments, uint32_t engine) {
  in_addr address{};
  if (inet_pton(AF_INET, arguments.host.c_str(), &address) != 1) {
    return InvalidArgument("host: \"{}\" is no IPv4 address", arguments.host);
  }
  if (!arguments.each_own_address) return arguments.host;
  address.s_addr = htonl(ntohl(address.s_addr) + engine);
  char text[INET_ADDRSTRLEN];
  inet_ntop(AF_INET, &address, text, sizeof(text));
  return std::string(text);
}

absl::StatusOr<std::string> PortOf(int first, uint32_t further) {
  const int64_t port = int64_t{first} + further;
  if (first == 0) return std::string("0");
  if (port > kMaxPort)
    return InvalidArgument("port: {} + {} is above {}", first, further, kMaxPort);
  return fmt::format("{}", port);
}

absl::StatusOr<StreamEndpoints> StreamOf(const Arguments& arguments, const std::string& host,
                                         uint32_t engine, uint32_t rank) {
  const uint32_t before = arguments.each_own_address ? 0 : engine * arguments.ranks;
  const uint32_t all = arguments.ranks * (arguments.each_own_address ? 1 : arguments.engines);
  const auto event = PortOf(arguments.event_port, before + rank);
  const auto replay = PortOf(arguments.event_port, all + before + rank);
  for (const auto* port : {&event, &replay}) {
    if (!port->ok()) return port->status();
  }
  const auto endpoint = [&host](const std::string& port) {
    return fmt::format("tcp://{}:{}", host, port == "0" ? "*" : port);
  };
  return StreamEndpoints{.event = endpoint(*event),
                         .replay = arguments.replay ? endpoint(*replay) : "",
                         .topic = arguments.topic};
}

absl::Status PlaceEngines(const Arguments& arguments, EngineHostOptions* host,
                          EngineServerOptions* server, EngineApiOptions* api) {
  for (uint32_t i = 0; i < arguments.engines; ++i) {
    const auto address = HostOf(arguments, i);
    if (!address.ok()) return address.status();
    const auto port = PortOf(arguments.port, arguments.each_own_address ? 0 : i);
    if (!port.ok()) return port.status();
    server->listen.push_back(*address + ":" + *port);
    api->names.push_back(fmt::format("{}-{}", arguments.name, i));
    std::vector<StreamEndpoints>* const ranks = &host->streams.emplace_back();
    for (uint32_t rank = 0; rank < arguments.ranks; ++rank) {
      const auto stream = StreamOf(arguments, *address, i, rank);
      if (!stream.ok()) return stream.status();
      ranks->push_back(*stream);
    }
  }
  return absl::OkStatus();
}

std::string PortIn(const std::string& address) { return address.substr(address.rfind(':') + 1); }

// llm-d's form, with labels that say where events are.
std::string EndpointsYaml(const EngineServer& server, const EngineHost& host,
                          const EngineApiOptions& api, const std::string& model) {
  std::string yaml = "endpoints:\n";
  for (size_t i = 0; i < host.engines(); ++i) {
    const std::string address = server.address(i);
    const StreamEndpoints& stream = host.endpoints(i, 0);
    fmt::format_to(std::back_inserter(yaml),
                   "- name: {}\n  namespace: default\n  address: {}\n  port: \"{}\"\n  labels:\n"
                   "    kvroute.io/model: \"{}\"\n    kvroute.io/event-port: \"{}\"\n",
                   api.names[i], address.substr(0, address.rfind(':')), PortIn(address), model,
                   PortIn(stream.event));
    if (!stream.replay.empty()) {
      fmt::format_to(std::back_inserter(yaml), "    kvroute.io/replay-port: \"{}\"\n",
                     PortIn(stream.replay));
    }
    if (host.ranks() > 1) {
      fmt::format_to(std::back_inserter(yaml), "    kvroute.io/data-parallel-size: \"{}\"\n",
                     host.ranks());
    }
  }
  return yaml;
}

absl::Status WriteFile(const std::string& path, const std::string& text) {
  const std::string unfinished = path + ".tmp";  // so that nobody reads half of it
  std::ofstream out(unfinished);
  out << text;
  out.close();
  std::error_code error;
  if (out) std::filesystem::rename(unfinished, path, error);
  if (!out || error) return InvalidArgument("--endpoints-file: cannot write {}", path);
  return absl::OkStatus();
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "kvroute engine: %s\n", std::string(MessageOf(status)).c_str());
  return status.code() == absl::StatusCode::kInvalidArgument ? kBadUsage : kCannotStart;
}

// One line an engine, then the line that a script waits for.
void Announce(const EngineServer& server, const EngineHost& host, const EngineApiOptions& api) {
  for (size_t i = 0; i < host.engines(); ++i) {
    for (uint32_t rank = 0; rank < host.ranks(); ++rank) {
      const StreamEndpoints& stream = host.endpoints(i, rank);
      std::printf("%s rank=%u http=%s events=%s replay=%s\n", api.names[i].c_str(), rank,
                  server.address(i).c_str(), stream.event.c_str(), stream.replay.c_str());
    }
  }
  std::printf("kvroute engine: serving %zu\n", host.engines());
  std::fflush(stdout);
}

absl::Status CheckStyle(const Arguments& arguments, std::optional<WireStyle> style) {
  if (!style) return InvalidArgument("style: \"{}\" is none", arguments.style);
  if (EngineKindOf(*style) == EngineKind::kSglang && !arguments.models.adapters.empty()) {
    return InvalidArgument("lora: SGLang's block hashes leave it out; only with a vLLM style");
  }
  return absl::OkStatus();
}

int Serve(const Arguments& arguments) {
  const std::optional<WireStyle> style = ParseWireStyle(arguments.style);
  if (absl::Status status = CheckStyle(arguments, style); !status.ok()) return Fail(status);
  EngineHostOptions host_options{
      .engine = arguments.engine.Options(), .style = *style, .speedup = arguments.speedup};
  EngineServerOptions server_options{.threads = arguments.threads};
  EngineApiOptions api{
      .models = arguments.models, .answer = arguments.answer, .render = arguments.render};
  api.answer.omit_zero_cached_tokens = EngineKindOf(*style) == EngineKind::kSglang;
  if (absl::Status status = PlaceEngines(arguments, &host_options, &server_options, &api);
      !status.ok()) {
    return Fail(status);
  }
  sigset_t signals;  // every thread inherits the mask
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  const auto host = EngineHost::Start(host_options);
  if (!host.ok()) return Fail(host.status());
  const auto server = EngineServer::Start(server_options, api, host->get());
  if (!server.ok()) return Fail(server.status());
  if (!arguments.endpoints_file.empty()) {
    absl::Status status = WriteFile(arguments.endpoints_file,
                                    EndpointsYaml(**server, **host, api, arguments.models.base));
    if (!status.ok()) return Fail(status);
  }
  Announce(**server, **host, api);
  int signal = 0;
  sigwait(&signals, &signal);
  return 0;
}

}  // namespace

void AddEngineCommand(CommandLine* command_line) {
  Command command = command_line->AddCommand(
      "engine", "Simulated engines that speak HTTP and publish their events: no GPU needed");
  auto arguments = std::make_shared<Arguments>();
  AddAddressOptions(&command, arguments.get());
  AddServedOptions(&command, arguments.get());
  command.SetFooter("docs/engine.md says what they answer and how they are made to fail.");
  command.SetAction([arguments] { return Serve(*arguments); });
}

}  // namespace kvroute
