#ifndef KVROUTE_TOOLS_LOAD_LOAD_COMMAND_H_
#define KVROUTE_TOOLS_LOAD_LOAD_COMMAND_H_

namespace kvroute {

class CommandLine;

// `kvroute load`: publishes synthetic events to a running kvroute at a fixed rate and says whether
// all of them arrived, and how fast. Exit status 0: all did, within the limits given; 1: not; 2:
// the command line or kvroute cannot be used.
void AddLoadCommand(CommandLine* command_line);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_LOAD_LOAD_COMMAND_H_
