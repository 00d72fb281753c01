#ifndef KVROUTE_TOOLS_FLEET_FLEET_COMMAND_H_
#define KVROUTE_TOOLS_FLEET_FLEET_COMMAND_H_

namespace kvroute {

class CommandLine;

// `kvroute fleet`: simulated engines driven by a trace, placed by kvroute and by its alternatives,
// compared. Exit status 0 when every promise was kept, 1 when one was broken or a run failed, 2 on
// a bad command line or trace.
void AddFleetCommand(CommandLine* command_line);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_FLEET_FLEET_COMMAND_H_
