#include "tools/command_line/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"

namespace kvroute {

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
  app_->callback(
      [action = std::move(action), exit_status = exit_status_] { *exit_status = action(); });
}

CommandLine::CommandLine(const char* name, const char* description)
    : app_(std::make_unique<CLI::App>(description, name)) {
  app_->require_subcommand(1);
}

CommandLine::~CommandLine() = default;

void CommandLine::SetVersion(const std::string& text) { app_->set_version_flag("--version", text); }

Command CommandLine::AddCommand(const char* name, const char* description) {
  return Command(app_->add_subcommand(name, description), &exit_status_);
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
    return app_->exit(error) == 0 ? 0 : kNotUnderstood;
  }
  return exit_status_;
}

std::optional<HostPort> ParseHostPort(const std::string& text) {
  const size_t colon = text.rfind(':');
  HostPort parsed;
  if (colon == std::string::npos || !absl::SimpleAtoi(text.substr(colon + 1), &parsed.port) ||
      parsed.port < 1 || parsed.port > 65'535) {
    return std::nullopt;
  }
  parsed.host = text.substr(0, colon);
  return parsed;
}

}  // namespace kvroute
