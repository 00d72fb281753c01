#ifndef KVROUTE_TOOLS_SERVE_SERVE_COMMAND_H_
#define KVROUTE_TOOLS_SERVE_SERVE_COMMAND_H_

namespace CLI {
class App;
}

namespace kvroute {

// kvroute serve: the router itself, until SIGTERM or SIGINT.
void AddServeCommand(CLI::App* app, int* exit_code);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_SERVE_SERVE_COMMAND_H_
