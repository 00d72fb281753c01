#ifndef KVROUTE_TOOLS_CONFIG_CONFIG_COMMAND_H_
#define KVROUTE_TOOLS_CONFIG_CONFIG_COMMAND_H_

namespace kvroute {

class CommandLine;

// `kvroute config init`: writes a commented configuration file. Exit status 0: written; 2: the file
// is there already or cannot be written.
void AddConfigCommand(CommandLine* command_line);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_CONFIG_CONFIG_COMMAND_H_
