#ifndef KVROUTE_TOOLS_LOAD_LOAD_COMMAND_H_
#define KVROUTE_TOOLS_LOAD_LOAD_COMMAND_H_

namespace CLI {
class App;
}

namespace kvroute {

// `kvroute load`: publishes synthetic events to a running kvroute at a fixed rate and says whether
// all of them arrived, and how fast. Exit status 0: all did, within the limits given; 1: not; 2:
// the command line or kvroute cannot be used.
void AddLoadCommand(CLI::App* app, int* exit_code);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_LOAD_LOAD_COMMAND_H_
