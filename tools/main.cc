#include <CLI/CLI.hpp>

#include "absl/synchronization/mutex.h"
#include "kvroute_build_info.h"
#include "tools/corpus/corpus_command.h"
#include "tools/decode/decode_command.h"
#include "tools/fleet/fleet_command.h"
#include "tools/load/load_command.h"
#include "tools/replay/replay_command.h"
#include "tools/serve/serve_command.h"
#include "tools/top/top_command.h"

// kvroute: one binary, a subcommand for each thing a person does with it.
int main(int argc, char** argv) {
  // Debian's Abseil keeps a graph of the locks that gRPC takes: a tenth of what a call costs.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  CLI::App app("kvroute: KV-cache-aware routing for LLM gateways", "kvroute");
  app.require_subcommand(1);
  app.set_version_flag("--version",
                       std::string("kvroute ") + kvroute::kVersion + " (" + kvroute::kCommit + ")");
  int exit_code = 0;
  // Every Add*Command(&app, &exit_code) stands here, one a line.
  kvroute::AddCorpusCommand(&app, &exit_code);
  kvroute::AddDecodeCommand(&app, &exit_code);
  kvroute::AddReplayCommand(&app, &exit_code);
  kvroute::AddLoadCommand(&app, &exit_code);
  kvroute::AddFleetCommand(&app, &exit_code);
  kvroute::AddServeCommand(&app, &exit_code);
  kvroute::AddTopCommand(&app, &exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;  // help is a success; a command line that cannot be understood is 2
  }
  return exit_code;
}
