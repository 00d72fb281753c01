#ifndef KVROUTE_TOOLS_COMMAND_LINE_COMMAND_LINE_H_
#define KVROUTE_TOOLS_COMMAND_LINE_COMMAND_LINE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace kvroute {

// What may be said of an option once it exists; each call returns the same option, so that they
// can be chained. It refers to its command line and costs nothing to copy.
class Option {
 public:
  Option Required();
  // The value the variable has now is printed in the help as the default.
  Option ShowDefault();
  // Both ends are allowed. The type of the ends is the one that the help prints.
  Option Between(int lowest, int highest);
  Option Between(uint32_t lowest, uint32_t highest);
  Option Between(double lowest, double highest);
  Option Positive();
  Option OneOf(std::vector<std::string> values);
  // `check` returns what is wrong with a value, or nothing.
  Option Check(std::function<std::string(const std::string& value)> check);
  // For lists: one argument may hold several values.
  Option SplitAt(char delimiter);
  // For lists: each value needs the option's name again.
  Option OneValueEachTime();

 private:
  friend class Command;
  explicit Option(CLI::Option* option) : option_(option) {}

  CLI::Option* option_;
};

// One subcommand: its options and what it does. The variables must outlive CommandLine::Run().
// A name with dashes is an option ("--seed"), one without is positional ("FILE").
class Command {
 public:
  Option AddOption(const char* name, std::string* value, const char* help);
  Option AddOption(const char* name, std::vector<std::string>* values, const char* help);
  Option AddOption(const char* name, int* value, const char* help);
  Option AddOption(const char* name, uint32_t* value, const char* help);
  Option AddOption(const char* name, uint64_t* value, const char* help);
  Option AddOption(const char* name, double* value, const char* help);
  Option AddOption(const char* name, std::optional<double>* value, const char* help);
  // `value` becomes the number that stands behind the name which was given.
  Option AddChoice(const char* name, const std::map<std::string, int>& choices, int* value,
                   const char* help);
  // With '!' before the name the flag makes the variable false instead of true.
  void AddFlag(const char* name, bool* value, const char* help);
  // A command below this one ("kvroute config init"); then this one has no action of its own.
  Command AddCommand(const char* name, const char* description);
  // Printed below the options in the help.
  void SetFooter(const char* text);
  // What runs once the command line is understood; returns the exit status.
  void SetAction(std::function<int()> action);

 private:
  friend class CommandLine;
  // What all commands of a command line share.
  struct Run {
    bool only_parse = false;
    int exit_status = 0;
  };
  Command(CLI::App* app, Run* run) : app_(app), run_(run) {}

  CLI::App* app_;
  Run* run_;
};

// The command line of a binary with subcommands. With --only-parse in front, which no help shows,
// nothing is done once it is understood: so pages are held to it. Two commands it has by itself:
// `help [command...]` and `version`, which print what --help and --version do. The library that
// parses it is included in one file only: it takes seconds to compile.
//
// Errors: a command line that cannot be understood is told on standard error, with the name that
// was probably meant, and is status 2; help and version print on standard output and are status 0.
class CommandLine {
 public:
  static constexpr int kNotUnderstood = 2;

  CommandLine(const char* name, const char* description);
  ~CommandLine();

  // What `version` and --version print.
  void SetVersion(const std::string& text);
  Command AddCommand(const char* name, const char* description);

  // Runs the action of the one subcommand that was named and returns its status. Once only.
  int Run(int argc, const char* const* argv);
  // The same without the program's name.
  int Run(std::vector<std::string> arguments);

 private:
  int Parse(const std::function<void()>& parse);
  int Help();
  // What is wrong with it, when that is a name that does not exist or is not there; else empty.
  std::string WrongName() const;

  const std::unique_ptr<CLI::App> app_;
  Command::Run run_;
  std::string version_;
  std::vector<std::string> help_of_;  // the words behind `help`
};

// Where a report goes that --json asks for: "-" is standard output.
//
// Errors: INVALID_ARGUMENT names the file that cannot be written.
absl::Status WriteReport(const std::string& path, const std::string& text);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_COMMAND_LINE_COMMAND_LINE_H_
