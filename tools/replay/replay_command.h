#ifndef KVROUTE_TOOLS_REPLAY_REPLAY_COMMAND_H_
#define KVROUTE_TOOLS_REPLAY_REPLAY_COMMAND_H_

namespace CLI {
class App;
}

namespace kvroute {

// kvroute replay: runs a corpus against the index, measures it or compares it with the reference
// model.
void AddReplayCommand(CLI::App* app, int* exit_code);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_REPLAY_REPLAY_COMMAND_H_
