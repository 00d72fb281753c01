#ifndef KVROUTE_TOOLS_ENGINE_ENGINE_COMMAND_H_
#define KVROUTE_TOOLS_ENGINE_ENGINE_COMMAND_H_

namespace kvroute {

class CommandLine;

// `kvroute engine`: simulated engines that speak HTTP and publish their events, until a signal ends
// them. The first line of standard output says that they serve.
void AddEngineCommand(CommandLine* command_line);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_ENGINE_ENGINE_COMMAND_H_
