#include "tools/config/config_command.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "router/config/config_template.h"
#include "tools/command_line/command_line.h"

namespace kvroute {
namespace {

constexpr int kUnusable = 2;

struct InitFlags {
  std::string out = "-";
  bool force = false;
};

int Fail(const std::string& path) {
  std::fprintf(stderr, "kvroute config init: %s: %s%s\n", path.c_str(), std::strerror(errno),
               errno == EEXIST ? "; --force replaces it" : "");
  return kUnusable;
}

int Init(const InitFlags& flags) {
  const std::string text = ConfigTemplate();
  if (flags.out == "-") return std::fputs(text.c_str(), stdout) >= 0 ? 0 : Fail(flags.out);
  std::FILE* const file = std::fopen(flags.out.c_str(), flags.force ? "we" : "wxe");
  if (file == nullptr) return Fail(flags.out);
  const bool written = std::fputs(text.c_str(), file) >= 0;
  if (std::fclose(file) != 0 || !written) return Fail(flags.out);
  std::fprintf(stderr, "%s: written; kvroute serve --config %s\n", flags.out.c_str(),
               flags.out.c_str());
  return 0;
}

}  // namespace

void AddConfigCommand(CommandLine* command_line) {
  const auto flags = std::make_shared<InitFlags>();
  Command config = command_line->AddCommand("config", "Make a configuration file");
  Command init = config.AddCommand("init", "Write one that says every field, commented out");
  init.AddOption("FILE", &flags->out, "to write; -: standard output").ShowDefault();
  init.AddFlag("--force", &flags->force, "replace the file if it is there");
  init.SetAction([flags] { return Init(*flags); });
}

}  // namespace kvroute
