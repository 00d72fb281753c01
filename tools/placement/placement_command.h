#ifndef KVROUTE_TOOLS_PLACEMENT_PLACEMENT_COMMAND_H_
#define KVROUTE_TOOLS_PLACEMENT_PLACEMENT_COMMAND_H_

namespace kvroute {

class CommandLine;

// `kvroute placement`: which policy places best, in virtual time and without sockets. Exit status
// 0, or 2 on a bad command line or workload.
void AddPlacementCommand(CommandLine* command_line);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_PLACEMENT_PLACEMENT_COMMAND_H_
