#include "tools/top/top_command.h"

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>

#include "tools/command_line/command_line.h"
#include "tools/top/top_frame.h"

namespace kvroute {
namespace {

constexpr int kUnusable = 2;
constexpr char kHomeAndClear[] = "\x1b[H\x1b[2J";

struct TopFlags {
  std::string http = "127.0.0.1:9108";
  bool once = false;
};

absl::StatusOr<TopReading> Read(const std::string& host, int port) {
  auto metrics = Scrape::Fetch(host, port);
  if (!metrics.ok()) return metrics.status();
  auto status = FetchPage(host, port, "/status");
  if (!status.ok()) return status.status();
  return TopReading{*std::move(status), *std::move(metrics)};
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "kvroute top: %s\n", std::string(status.message()).c_str());
  return kUnusable;
}

int RunCommand(const TopFlags& flags) {
  const std::optional<HostPort> http = ParseHostPort(flags.http);
  if (!http.has_value()) {
    return Fail(absl::InvalidArgumentError("--http: not HOST:PORT: " + flags.http));
  }
  Scrape before;
  auto read_at = std::chrono::steady_clock::time_point::min();
  while (true) {
    const auto reading = Read(http->host, http->port);
    if (!reading.ok()) return Fail(reading.status());
    const auto now = std::chrono::steady_clock::now();
    const bool first = read_at == std::chrono::steady_clock::time_point::min();
    const double seconds = first ? 0 : std::chrono::duration<double>(now - read_at).count();
    const auto frame = TopFrame(*reading, before, seconds);
    if (!frame.ok()) return Fail(frame.status());
    if (!flags.once) std::fputs(kHomeAndClear, stdout);
    std::fputs(frame->c_str(), stdout);
    std::fflush(stdout);
    if (flags.once) return 0;
    before = reading->metrics;
    read_at = now;
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

}  // namespace

void AddTopCommand(CommandLine* command_line) {
  const auto flags = std::make_shared<TopFlags>();
  Command command = command_line->AddCommand(
      "top", "watch a running kvroute: its workers, trust, load and latencies");
  command.AddOption("--http", &flags->http, "its HTTP address").ShowDefault();
  command.AddFlag("--once", &flags->once, "print one frame, of the time since its start, and end");
  command.SetAction([flags] { return RunCommand(*flags); });
}

}  // namespace kvroute
