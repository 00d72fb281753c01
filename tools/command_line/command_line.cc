#include "tools/command_line/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "indexer/base/nearest_name.h"
#include "indexer/base/text.h"

namespace kvroute {
namespace {

// "kvroute config"
std::string FullName(const CLI::App& app) {
  const CLI::App* const parent = app.get_parent();
  return parent == nullptr ? app.get_name() : FullName(*parent) + " " + app.get_name();
}

std::vector<std::string> NamesBelow(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* below : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(below->get_name());
  }
  return names;
}

const CLI::App* SubcommandOf(const CLI::App& app, const std::string& name) {
  for (const CLI::App* below : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (below->get_name() == name) return below;
  }
  return nullptr;
}

std::string NoSuchCommand(const CLI::App& app, const std::string& word) {
  const CLI::App* root = &app;
  while (root->get_parent() != nullptr) root = root->get_parent();
  return absl::StrCat(FullName(app), ": there is no command \"", OneLine(word), "\"",
                      DidYouMean(word, NamesBelow(app)), " (`", root->get_name(),
                      " help` lists them)");
}

std::string NoSuchOption(const CLI::App& app, const std::string& word) {
  const std::string name = word.substr(0, word.find('='));
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& each : option->get_lnames()) names.push_back("--" + each);
    for (const std::string& each : option->get_fnames()) names.push_back("--" + each);
  }
  return absl::StrCat(FullName(app), ": there is no option \"", OneLine(name), "\"",
                      DidYouMean(name, names), " (`", FullName(app), " --help` lists them)");
}

}  // namespace

Option Option::Required() {
  option_->required();
  return *this;
}

Option Option::ShowDefault() {
  option_->capture_default_str();
  return *this;
}

Option Option::Between(int lowest, int highest) {
  option_->check(CLI::Range(lowest, highest));
  return *this;
}

Option Option::Between(uint32_t lowest, uint32_t highest) {
  option_->check(CLI::Range(lowest, highest));
  return *this;
}

Option Option::Between(double lowest, double highest) {
  option_->check(CLI::Range(lowest, highest));
  return *this;
}

Option Option::Positive() {
  option_->check(CLI::PositiveNumber);
  return *this;
}

Option Option::OneOf(std::vector<std::string> values) {
  option_->check(CLI::IsMember(std::move(values)));
  return *this;
}

Option Option::Check(std::function<std::string(const std::string& value)> check) {
  option_->check(std::move(check));
  return *this;
}

Option Option::SplitAt(char delimiter) {
  option_->delimiter(delimiter);
  return *this;
}

Option Option::OneValueEachTime() {
  option_->expected(1)->allow_extra_args(false)->take_all();
  return *this;
}

Option Command::AddOption(const char* name, std::string* value, const char* help) {
  return Option(app_->add_option(name, *value, help));
}

Option Command::AddOption(const char* name, std::vector<std::string>* values, const char* help) {
  return Option(app_->add_option(name, *values, help));
}

Option Command::AddOption(const char* name, int* value, const char* help) {
  return Option(app_->add_option(name, *value, help));
}

Option Command::AddOption(const char* name, uint32_t* value, const char* help) {
  return Option(app_->add_option(name, *value, help));
}

Option Command::AddOption(const char* name, uint64_t* value, const char* help) {
  return Option(app_->add_option(name, *value, help));
}

Option Command::AddOption(const char* name, double* value, const char* help) {
  return Option(app_->add_option(name, *value, help));
}

Option Command::AddOption(const char* name, std::optional<double>* value, const char* help) {
  return Option(app_->add_option(name, *value, help));
}

Option Command::AddChoice(const char* name, const std::map<std::string, int>& choices, int* value,
                          const char* help) {
  CLI::Option* const option = app_->add_option(name, *value, help);
  option->transform(CLI::CheckedTransformer(choices))->type_name("ENUM");
  return Option(option);
}

void Command::AddFlag(const char* name, bool* value, const char* help) {
  app_->add_flag(name, *value, help);
}

void Command::SetFooter(const char* text) { app_->footer(text); }

void Command::SetAction(std::function<int()> action) {
  app_->callback([action = std::move(action), run = run_] {
    run->exit_status = run->only_parse ? 0 : action();
  });
}

Command Command::AddCommand(const char* name, const char* description) {
  app_->require_subcommand(1);
  return Command(app_->add_subcommand(name, description), run_);
}

CommandLine::CommandLine(const char* name, const char* description)
    : app_(std::make_unique<CLI::App>(description, name)) {
  app_->require_subcommand(1);
  app_->add_flag("--only-parse", run_.only_parse)->group("");
  Command help = AddCommand("help", "Print what a command does and its options");
  help.AddOption("COMMAND", &help_of_, "command; none: all of them");
  help.SetAction([this] { return Help(); });
  AddCommand("version", "Print the version").SetAction([this] {
    std::printf("%s\n", version_.c_str());
    return 0;
  });
}

CommandLine::~CommandLine() = default;

void CommandLine::SetVersion(const std::string& text) {
  version_ = text;
  app_->set_version_flag("--version", text);
}

Command CommandLine::AddCommand(const char* name, const char* description) {
  return Command(app_->add_subcommand(name, description), &run_);
}

int CommandLine::Run(int argc, const char* const* argv) {
  return Parse([&] { app_->parse(argc, argv); });
}

int CommandLine::Run(std::vector<std::string> arguments) {
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes a vector back to front
  return Parse([&] { app_->parse(std::move(arguments)); });
}

int CommandLine::Parse(const std::function<void()>& parse) {
  try {
    parse();
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app_->exit(error);
    const std::string wrong = WrongName();
    if (wrong.empty()) {
      app_->exit(error);
    } else {
      std::fprintf(stderr, "%s\n", wrong.c_str());
    }
    return kNotUnderstood;
  }
  return run_.exit_status;
}

int CommandLine::Help() {
  const CLI::App* of = app_.get();
  for (const std::string& word : help_of_) {
    const CLI::App* const below = SubcommandOf(*of, word);
    if (below == nullptr) {
      std::fprintf(stderr, "%s\n", NoSuchCommand(*of, word).c_str());
      return kNotUnderstood;
    }
    of = below;
  }
  // App::help() would be that of the command which was asked, this one.
  std::fputs(of->get_formatter()->make_help(of, FullName(*of), CLI::AppFormatMode::Normal).c_str(),
             stdout);
  return 0;
}

std::string CommandLine::WrongName() const {
  const CLI::App* at = app_.get();
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  for (const std::string& word : at->remaining(/*recurse=*/true)) {
    if (word.size() > 1 && word.front() == '-') return NoSuchOption(*at, word);
  }
  // Only where it has commands below.
  if (NamesBelow(*at).empty()) return "";
  for (const CLI::App* asked = at; asked != nullptr; asked = asked->get_parent()) {
    const std::vector<std::string> words = asked->remaining(/*recurse=*/true);
    if (!words.empty()) return NoSuchCommand(*at, words.front());
  }
  return FullName(*at) + ": a command is missing: one of " + absl::StrJoin(NamesBelow(*at), ", ") +
         "; `" + app_->get_name() + " help` describes them";
}

absl::Status WriteReport(const std::string& path, const std::string& text) {
  const char* const end = text.empty() || text.back() != '\n' ? "\n" : "";
  if (path == "-") {
    const bool written = std::fputs(text.c_str(), stdout) >= 0 && std::fputs(end, stdout) >= 0 &&
                         std::fflush(stdout) == 0;
    if (written) return absl::OkStatus();
    return absl::InvalidArgumentError("--json: standard output cannot be written");
  }
  std::ofstream out(path, std::ios::trunc);
  out << text << end;
  out.close();
  if (out) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--json: ", path, ": cannot be written"));
}

}  // namespace kvroute
