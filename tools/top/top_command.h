#ifndef KVROUTE_TOOLS_TOP_TOP_COMMAND_H_
#define KVROUTE_TOOLS_TOP_TOP_COMMAND_H_

namespace CLI {
class App;
}

namespace kvroute {

// kvroute top: a view of a running kvroute that is drawn anew each second.
void AddTopCommand(CLI::App* app, int* exit_code);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_TOP_TOP_COMMAND_H_
