#ifndef KVROUTE_TOOLS_DECODE_DECODE_COMMAND_H_
#define KVROUTE_TOOLS_DECODE_DECODE_COMMAND_H_

namespace CLI {
class App;
}

namespace kvroute {

// kvroute decode: prints what payloads captured from an engine's event socket mean.
void AddDecodeCommand(CLI::App* app, int* exit_code);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_DECODE_DECODE_COMMAND_H_
