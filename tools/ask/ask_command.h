#ifndef KVROUTE_TOOLS_ASK_ASK_COMMAND_H_
#define KVROUTE_TOOLS_ASK_ASK_COMMAND_H_

namespace kvroute {

class CommandLine;

// `kvroute register`, `list`, `drain`, `deregister`, `route`, `score`, `explain` and `complete`:
// one call of a running kvroute's API each, its answer as text or, with --json, as one JSON object.
//
// Errors: one line on standard error. Exit status 0: done; 1: nobody answers, or not now, and
// trying again may help; 2: what was asked for cannot be (the command line, INVALID_ARGUMENT); 3:
// kvroute refuses it (there is no such worker, somebody else's it is, no right to).
void AddAskCommands(CommandLine* command_line);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_ASK_ASK_COMMAND_H_
