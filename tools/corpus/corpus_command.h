#ifndef KVROUTE_TOOLS_CORPUS_CORPUS_COMMAND_H_
#define KVROUTE_TOOLS_CORPUS_CORPUS_COMMAND_H_

namespace kvroute {

class CommandLine;

// kvroute corpus: turns a trace, or the generated workload, into a corpus file.
void AddCorpusCommand(CommandLine* command_line);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_CORPUS_CORPUS_COMMAND_H_
