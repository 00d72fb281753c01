#include "tools/command_line/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvroute {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A command line with an option of every kind, and what a run of it printed.
class CommandLineTest : public testing::Test {
 protected:
  CommandLineTest() {
    line_.SetVersion("tool 1.2");
    Command command = line_.AddCommand("work", "do the work");
    command.AddOption("--text", &text_, "a text").ShowDefault();
    command.AddOption("--list", &list_, "a list").SplitAt(',');
    command.AddOption("--each", &each_, "again and again").OneValueEachTime();
    command.AddOption("--small", &small_, "at most 9").Between(1u, 9u).ShowDefault();
    command.AddOption("--signed", &signed_, "around 0").Between(-5, 5);
    command.AddOption("--share", &share_, "of the whole").Between(0.0, 1.0);
    command.AddOption("--big", &big_, "64 bits");
    command.AddOption("--limit", &limit_, "none unless given").Positive();
    command.AddOption("--mode", &mode_, "how").OneOf({"open", "closed"});
    command.AddChoice("--place", {{"here", 3}, {"there", 7}}, &place_, "where");
    command.AddOption("--even", &even_, "checked").Check([](const std::string& value) {
      return value.size() % 2 == 0 ? std::string() : "odd: " + value;
    });
    command.AddFlag("--fast", &fast_, "hurry");
    command.AddFlag("!--no-pin", &pin_, "do not pin");
    command.AddOption("FILE", &files_, "files").Required();
    command.SetFooter("That is all.");
    command.SetAction([this] {
      ++runs_;
      return 42;
    });
    Command garden = line_.AddCommand("garden", "what grows");
    garden.AddCommand("water", "with a can").SetAction([] { return 7; });
  }

  int Run(std::vector<std::string> arguments) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int status = line_.Run(std::move(arguments));
    out_ = testing::internal::GetCapturedStdout();
    error_ = testing::internal::GetCapturedStderr();
    return status;
  }

  // That a value is refused with these words, and nothing was done.
  void ExpectRefused(const std::string& name, const std::string& value, const std::string& why) {
    EXPECT_EQ(Run({"work", name, value, "f"}), CommandLine::kNotUnderstood) << name;
    EXPECT_THAT(error_, HasSubstr(name));
    EXPECT_THAT(error_, HasSubstr(why));
    EXPECT_EQ(runs_, 0);
  }

  CommandLine line_{"tool", "A tool."};
  std::string text_ = "as it was", mode_, even_, out_, error_;
  std::vector<std::string> list_, each_, files_;
  int signed_ = 0, place_ = 0, runs_ = 0;
  uint32_t small_ = 4;
  uint64_t big_ = 0;
  double share_ = 0;
  std::optional<double> limit_;
  bool fast_ = false, pin_ = true;
};

TEST_F(CommandLineTest, ValuesArriveAndTheActionGivesTheStatus) {
  EXPECT_EQ(Run({"work",   "--text",  "t",        "--list", "a,b",
                 "--list", "c",       "--small",  "9",      "--signed",
                 "-5",     "--share", "0.5",      "--big",  "18446744073709551615",
                 "--mode", "open",    "--place",  "there",  "--even",
                 "ab",     "--fast",  "--no-pin", "f",      "g"}),
            42);
  EXPECT_EQ(runs_, 1);
  EXPECT_EQ(text_, "t");
  EXPECT_THAT(list_, ElementsAre("a", "b", "c"));
  EXPECT_EQ(small_, 9u);
  EXPECT_EQ(signed_, -5);
  EXPECT_EQ(share_, 0.5);
  EXPECT_EQ(big_, ~uint64_t{0});
  EXPECT_EQ(mode_, "open");
  EXPECT_EQ(place_, 7);
  EXPECT_EQ(even_, "ab");
  EXPECT_TRUE(fast_);
  EXPECT_FALSE(pin_);
  EXPECT_THAT(files_, ElementsAre("f", "g"));
}

TEST_F(CommandLineTest, WhatIsNotGivenStays) {
  EXPECT_EQ(Run({"work", "f"}), 42);
  EXPECT_EQ(text_, "as it was");
  EXPECT_EQ(small_, 4u);
  EXPECT_EQ(limit_, std::nullopt);
  EXPECT_TRUE(pin_);
}

TEST_F(CommandLineTest, AnOptionOfOneValueEachTimeLeavesTheRestToOthers) {
  EXPECT_EQ(Run({"work", "--each", "a=1,b=2", "--each", "c", "f"}), 42);
  EXPECT_THAT(each_, ElementsAre("a=1,b=2", "c"));
  EXPECT_THAT(files_, ElementsAre("f"));
}

TEST_F(CommandLineTest, AnOptionalNumberIsThereWhenItIsGiven) {
  EXPECT_EQ(Run({"work", "--limit", "2.5", "f"}), 42);
  EXPECT_EQ(limit_, 2.5);
}

TEST_F(CommandLineTest, RefusesWhatIsNotAllowed) {
  ExpectRefused("--small", "10", "not in range 1 to 9");
  ExpectRefused("--small", "0", "not in range 1 to 9");
  ExpectRefused("--signed", "-6", "not in range -5 to 5");
  ExpectRefused("--share", "1.1", "not in range");
  ExpectRefused("--limit", "0", "not in range");
  ExpectRefused("--mode", "ajar", "not in {open,closed}");
  ExpectRefused("--place", "away", "value in {here->3,there->7}");
  ExpectRefused("--even", "abc", "odd: abc");
}

TEST_F(CommandLineTest, RefusesACommandLineOfAnotherShape) {
  EXPECT_EQ(Run({}), CommandLine::kNotUnderstood);
  EXPECT_THAT(error_, HasSubstr("tool: a command is missing: one of help, version, work"));
  EXPECT_EQ(Run({"play"}), CommandLine::kNotUnderstood);
  EXPECT_THAT(error_, HasSubstr("there is no command \"play\" (`tool help` lists them)"));
  EXPECT_EQ(Run({"work"}), CommandLine::kNotUnderstood);
  EXPECT_THAT(error_, HasSubstr("FILE is required"));
  EXPECT_EQ(Run({"work", "--unknown", "f"}), CommandLine::kNotUnderstood);
  EXPECT_EQ(runs_, 0);
}

TEST_F(CommandLineTest, HelpTellsTypesRangesAndDefaults) {
  EXPECT_EQ(Run({"work", "--help"}), 0);
  EXPECT_THAT(out_, HasSubstr("--text TEXT=as it was"));
  EXPECT_THAT(out_, HasSubstr("--small UINT:UINT in [1 - 9]=4"));
  EXPECT_THAT(out_, HasSubstr("ENUM:value in {here->3,there->7}"));
  EXPECT_THAT(out_, HasSubstr("That is all."));
  EXPECT_EQ(runs_, 0);
}

TEST_F(CommandLineTest, VersionIsPrinted) {
  EXPECT_EQ(Run({"--version"}), 0);
  EXPECT_EQ(out_, "tool 1.2\n");
}

TEST_F(CommandLineTest, HelpAndVersionAreCommandsToo) {
  EXPECT_EQ(Run({"version"}), 0);
  EXPECT_EQ(out_, "tool 1.2\n");
  EXPECT_EQ(Run({"help"}), 0);
  EXPECT_THAT(out_, HasSubstr("do the work"));
  EXPECT_EQ(error_, "");
}

TEST_F(CommandLineTest, HelpOfOneCommandIsItsOwn) {
  EXPECT_EQ(Run({"work", "--help"}), 0);
  const std::string own = out_;
  EXPECT_EQ(Run({"help", "work"}), 0);
  EXPECT_EQ(out_, own);
  EXPECT_THAT(own, testing::Not(HasSubstr(std::string(1, '\0'))));
}

TEST_F(CommandLineTest, HelpReachesCommandsBelowCommands) {
  EXPECT_EQ(Run({"help", "garden", "water"}), 0);
  EXPECT_THAT(out_, HasSubstr("with a can"));
}

TEST_F(CommandLineTest, ANameThatIsNoneIsSaidWithTheOneThatWasMeant) {
  EXPECT_EQ(Run({"wrok"}), CommandLine::kNotUnderstood);
  EXPECT_EQ(
      error_,
      "tool: there is no command \"wrok\"; did you mean \"work\"? (`tool help` lists them)\n");
  EXPECT_EQ(Run({"help", "wrok"}), CommandLine::kNotUnderstood);
  EXPECT_THAT(error_, HasSubstr("did you mean \"work\"?"));
}

TEST_F(CommandLineTest, AnOptionThatIsNoneIsSaidBeforeWhatIsMissingForItsSake) {
  EXPECT_EQ(Run({"work", "--txet=secret"}), CommandLine::kNotUnderstood);
  EXPECT_EQ(error_,
            "tool work: there is no option \"--txet\"; did you mean \"--text\"? "
            "(`tool work --help` lists them)\n");
}

TEST_F(CommandLineTest, OnlyParseDoesNothingAndRefusesAsEver) {
  EXPECT_EQ(Run({"--only-parse", "work", "f"}), 0);
  EXPECT_EQ(runs_, 0);
  EXPECT_EQ(Run({"--only-parse", "work", "--small", "10", "f"}), CommandLine::kNotUnderstood);
  EXPECT_EQ(Run({"--help"}), 0);
  EXPECT_THAT(out_, testing::Not(HasSubstr("only-parse")));
}

TEST_F(CommandLineTest, ACommandBelowACommandIsNamedWithIt) {
  EXPECT_EQ(Run({"garden", "wter"}), CommandLine::kNotUnderstood);
  EXPECT_THAT(error_,
              HasSubstr("tool garden: there is no command \"wter\"; did you mean \"water\"?"));
  EXPECT_EQ(Run({"garden"}), CommandLine::kNotUnderstood);
  EXPECT_THAT(error_, HasSubstr("tool garden: a command is missing: one of water"));
}

TEST(WriteReportTest, ADashIsStandardOutput) {
  testing::internal::CaptureStdout();
  EXPECT_TRUE(WriteReport("-", "{}").ok());
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "{}\n");
  EXPECT_EQ(WriteReport("/no/such/folder/x", "{}").message(),
            "--json: /no/such/folder/x: cannot be written");
}

}  // namespace
}  // namespace kvroute
