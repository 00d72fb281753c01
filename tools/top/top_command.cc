#include "tools/top/top_command.h"

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>

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
  const size_t colon = flags.http.rfind(':');
  int port = 0;
  if (colon == std::string::npos ||
      !CLI::detail::lexical_cast(flags.http.substr(colon + 1), port) || port < 1 || port > 65'535) {
    return Fail(absl::InvalidArgumentError("--http: not HOST:PORT: " + flags.http));
  }
  Scrape before;
  auto read_at = std::chrono::steady_clock::time_point::min();
  while (true) {
    const auto reading = Read(flags.http.substr(0, colon), port);
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

void AddTopCommand(CLI::App* app, int* exit_code) {
  const auto flags = std::make_shared<TopFlags>();
  CLI::App* command =
      app->add_subcommand("top", "watch a running kvroute: its workers, trust, load and latencies");
  command->add_option("--http", flags->http, "its HTTP address")->capture_default_str();
  command->add_flag("--once", flags->once, "print one frame, of the time since its start, and end");
  command->callback([flags, exit_code] { *exit_code = RunCommand(*flags); });
}

}  // namespace kvroute
