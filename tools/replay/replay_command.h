#ifndef KVROUTE_TOOLS_REPLAY_REPLAY_COMMAND_H_
#define KVROUTE_TOOLS_REPLAY_REPLAY_COMMAND_H_

namespace kvroute {

class CommandLine;

// kvroute replay: runs a corpus against the index, measures it or compares it with the reference
// model.
void AddReplayCommand(CommandLine* command_line);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_REPLAY_REPLAY_COMMAND_H_
