#ifndef KVROUTE_TOOLS_TOP_TOP_COMMAND_H_
#define KVROUTE_TOOLS_TOP_TOP_COMMAND_H_

namespace kvroute {

class CommandLine;

// kvroute top: a view of a running kvroute that is drawn anew each second.
void AddTopCommand(CommandLine* command_line);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_TOP_TOP_COMMAND_H_
