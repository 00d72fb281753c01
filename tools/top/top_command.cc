#include "tools/top/top_command.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "tools/client/server_flags.h"
#include "tools/command_line/command_line.h"
#include "tools/top/top_frame.h"

namespace kvroute {
namespace {

constexpr int kUnusable = 2;
constexpr char kHomeAndClear[] = "\x1b[H\x1b[2J";

struct TopFlags {
  ServerFlags server{.server = "127.0.0.1:9108", .security = {}};
  std::string sort = "worker", colours = "auto";
  TopView view;
  bool once = false;
};

// Colours are for people: none in a file or a pipe, or where NO_COLOR (https://no-color.org) is
// set and not empty.
bool WantsColours(const std::string& asked) {
  if (asked != "auto") return asked == "always";
  const char* const no_color = std::getenv("NO_COLOR");
  const char* const terminal = std::getenv("TERM");
  return isatty(STDOUT_FILENO) == 1 && (no_color == nullptr || *no_color == 0) &&
         (terminal == nullptr || std::string_view(terminal) != "dumb");
}

absl::StatusOr<TopReading> Read(const ClientOptions& from) {
  auto metrics = Scrape::Fetch(from);
  if (!metrics.ok()) return metrics.status();
  auto status = FetchPage(from, "/status");
  if (!status.ok()) return status.status();
  return TopReading{*std::move(status), *std::move(metrics)};
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "kvroute top: %s\n", std::string(status.message()).c_str());
  return kUnusable;
}

int RunCommand(TopFlags flags) {
  const absl::StatusOr<ClientOptions> from = flags.server.Options(ServerFlags::kHttpPort);
  if (!from.ok()) return Fail(from.status());
  flags.view.sort = *kTopSortNames.Parse(flags.sort);
  flags.view.colours = WantsColours(flags.colours);
  Scrape before;
  auto read_at = std::chrono::steady_clock::time_point::min();
  while (true) {
    const auto reading = Read(*from);
    if (!reading.ok()) return Fail(reading.status());
    const auto now = std::chrono::steady_clock::now();
    const bool first = read_at == std::chrono::steady_clock::time_point::min();
    const double seconds = first ? 0 : std::chrono::duration<double>(now - read_at).count();
    const auto frame = TopFrame(*reading, before, seconds, flags.view);
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
  flags->server.AddServer(&command, ",--http", "its HTTP address: HOST:PORT or a URL");
  flags->server.AddSecurity(&command);
  command.AddOption("--sort", &flags->sort, "most first, trust: most in trouble first")
      .OneOf({kTopSortNames.begin(), kTopSortNames.end()})
      .ShowDefault();
  command.AddOption("--worker", &flags->view.worker, "show every fact of this worker");
  command
      .AddOption("--colour,--color", &flags->colours, "auto: on a terminal, unless NO_COLOR is set")
      .OneOf({"auto", "always", "never"})
      .ShowDefault();
  command.AddFlag("--once", &flags->once, "print one frame, of the time since its start, and end");
  command.SetAction([flags] { return RunCommand(*flags); });
}

}  // namespace kvroute
