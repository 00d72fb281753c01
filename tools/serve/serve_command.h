#ifndef KVROUTE_TOOLS_SERVE_SERVE_COMMAND_H_
#define KVROUTE_TOOLS_SERVE_SERVE_COMMAND_H_

namespace kvroute {

class CommandLine;

// kvroute serve: the router itself, until SIGTERM or SIGINT.
void AddServeCommand(CommandLine* command_line);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_SERVE_SERVE_COMMAND_H_
