#ifndef KVROUTE_TOOLS_CORPUS_CORPUS_COMMAND_H_
#define KVROUTE_TOOLS_CORPUS_CORPUS_COMMAND_H_

namespace CLI {
class App;
}

namespace kvroute {

// kvroute corpus: turns a trace, or the generated workload, into a corpus file.
void AddCorpusCommand(CLI::App* app, int* exit_code);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_CORPUS_CORPUS_COMMAND_H_
