#include "tools/convert/convert_command.h"

#include <cstdio>
#include <memory>
#include <string>

#include "indexer/base/error.h"
#include "indexer/base/limits.h"
#include "indexer/base/read_file.h"
#include "tools/command_line/command_line.h"
#include "tools/convert/epp_config.h"

namespace kvroute {
namespace {

struct ConvertFlags {
  std::string format, file;
  EppConversion options;
};

int Refuse(const absl::Status& status) {
  std::fprintf(stderr, "%s\n", std::string(MessageOf(status)).c_str());
  return 2;
}

int Convert(const ConvertFlags& flags) {
  const std::string path = flags.file == "-" ? "/dev/stdin" : flags.file;
  const absl::StatusOr<std::string> text = ReadFile(path, limits::kMaxConfigBytes);
  if (!text.ok()) return Refuse(text.status());
  const absl::StatusOr<ConvertedConfig> converted =
      ConvertEppConfig(*text, flags.file, flags.options);
  if (!converted.ok()) return Refuse(converted.status());
  for (const std::string& note : converted->notes) {
    std::fprintf(stderr, "note: %s\n", note.c_str());
  }
  std::fputs(converted->yaml.c_str(), stdout);
  return 0;
}

}  // namespace

void AddConvertCommand(CommandLine* command_line) {
  const auto flags = std::make_shared<ConvertFlags>();
  Command command = command_line->AddCommand(
      "convert", "The configuration of another endpoint picker as one of kvroute");
  command.AddOption("FORMAT", &flags->format, "epp-config: llm-d's EndpointPickerConfig")
      .Required()
      .OneOf({"epp-config"});
  command.AddOption("FILE", &flags->file, "YAML or JSON; - is standard input").Required();
  command.AddOption("--pool", &flags->options.pool, "what llm-d's picker is told as --pool-name");
  command.AddOption("--namespace", &flags->options.kube_namespace,
                    "what it is told as --pool-namespace");
  command.AddFlag("--ignore-unknown", &flags->options.ignore_unknown,
                  "note what kvroute has nothing for, instead of refusing it");
  command.SetAction([flags] { return Convert(*flags); });
}

}  // namespace kvroute
