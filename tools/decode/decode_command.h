#ifndef KVROUTE_TOOLS_DECODE_DECODE_COMMAND_H_
#define KVROUTE_TOOLS_DECODE_DECODE_COMMAND_H_

namespace kvroute {

class CommandLine;

// kvroute decode: prints what payloads captured from an engine's event socket mean.
void AddDecodeCommand(CommandLine* command_line);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_DECODE_DECODE_COMMAND_H_
