#ifndef KVROUTE_TOOLS_CONVERT_CONVERT_COMMAND_H_
#define KVROUTE_TOOLS_CONVERT_CONVERT_COMMAND_H_

namespace kvroute {

class CommandLine;

// `kvroute convert`: the configuration of another picker as one of kvroute, on standard output;
// what became of its parts, on standard error.
void AddConvertCommand(CommandLine* command_line);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_CONVERT_CONVERT_COMMAND_H_
