#include <string>

#include "absl/synchronization/mutex.h"
#include "kvroute_build_info.h"
#include "tools/ask/ask_command.h"
#include "tools/command_line/command_line.h"
#include "tools/config/config_command.h"
#include "tools/convert/convert_command.h"
#include "tools/corpus/corpus_command.h"
#include "tools/decode/decode_command.h"
#include "tools/engine/engine_command.h"
#include "tools/fleet/fleet_command.h"
#include "tools/load/load_command.h"
#include "tools/placement/placement_command.h"
#include "tools/replay/replay_command.h"
#include "tools/serve/serve_command.h"
#include "tools/top/top_command.h"

// kvroute: one binary, a subcommand for each thing a person does with it.
int main(int argc, char** argv) {
  // Debian's Abseil keeps a graph of the locks that gRPC takes: a tenth of what a call costs.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  kvroute::CommandLine command_line("kvroute", "kvroute: KV-cache-aware routing for LLM gateways");
  command_line.SetVersion(std::string("kvroute ") + kvroute::kVersion + " (" + kvroute::kCommit +
                          ")");
  // One subcommand a line.
  kvroute::AddServeCommand(&command_line);
  kvroute::AddConfigCommand(&command_line);
  kvroute::AddTopCommand(&command_line);
  kvroute::AddAskCommands(&command_line);
  kvroute::AddConvertCommand(&command_line);
  kvroute::AddDecodeCommand(&command_line);
  kvroute::AddFleetCommand(&command_line);
  kvroute::AddPlacementCommand(&command_line);
  kvroute::AddEngineCommand(&command_line);
  kvroute::AddLoadCommand(&command_line);
  kvroute::AddCorpusCommand(&command_line);
  kvroute::AddReplayCommand(&command_line);
  return command_line.Run(argc, argv);
}
