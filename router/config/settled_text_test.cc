#include "router/config/settled_text.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "indexer/base/error.h"

namespace kvroute {
namespace {

// What a file said when `before` was in force, and what becomes of it.
class SettledTextTest : public testing::Test {
 protected:
  static constexpr char kBefore[] = "one: 1\ntwo: 2\nthree: 3\n";

  // What is told of one look: the text, "! " and the error, or "".
  std::string Look(const absl::StatusOr<std::string>& found) {
    const auto told = text_->Look(found);
    if (!told) return "";
    return told->ok() ? **told : absl::StrCat("! ", std::string(MessageOf(told->status())));
  }
  std::string TwoLooks(const absl::StatusOr<std::string>& found) {
    EXPECT_EQ(Look(found), "");
    return Look(found);
  }

  void InForce(const std::string& before) { text_.emplace("k.yaml", before); }

  std::optional<SettledText> text_{std::in_place, "k.yaml", kBefore};
};

TEST_F(SettledTextTest, IsTakenOnceTwoLooksFindItAlike) {
  EXPECT_EQ(Look("o"), "");
  EXPECT_EQ(Look("on"), "");
  EXPECT_EQ(Look("one: 2"), "");
  EXPECT_EQ(Look("one: 2"), "one: 2");
  EXPECT_EQ(Look("one: 2"), "") << "told once";
  EXPECT_EQ(Look("one: 3"), "");
  EXPECT_EQ(Look("one: 2"), "") << "as if nothing had been";
  EXPECT_EQ(Look("one: 2"), "");
}

// A signal that comes in the middle of a write is no reason to take half of it.
TEST_F(SettledTextTest, IsWaitedForAlsoWhenItIsToBeToldAgain) {
  EXPECT_EQ(Look("half"), "");
  text_->TellAgain();
  EXPECT_EQ(Look("half"), "") << "the look before the signal does not count";
  text_->TellAgain();
  EXPECT_EQ(Look("whole"), "");
  text_->TellAgain();
  EXPECT_EQ(Look("whole"), "whole");
  EXPECT_EQ(Look("whole"), "");
  text_->TellAgain();
  EXPECT_EQ(TwoLooks("whole"), "whole") << "the same again, as was asked";
}

TEST_F(SettledTextTest, EmptiedIsNoText) {
  for (const char* blank : {"", "\n", " \t\r\n\n"}) {
    SCOPED_TRACE(blank);
    InForce(kBefore);
    EXPECT_EQ(TwoLooks(std::string(blank)), "! k.yaml: is empty");
    EXPECT_EQ(TwoLooks(std::string(kBefore)), kBefore) << "its return is told";
  }
  InForce("\n");
  EXPECT_EQ(TwoLooks(std::string("")), "") << "it never said anything";
}

TEST_F(SettledTextTest, CutOffInTheMiddleOfALineIsNoText) {
  const std::string before(kBefore);
  for (size_t length = 1; length < before.size(); ++length) {
    InForce(before);
    const std::string left = before.substr(0, length);
    const bool whole_lines = left.ends_with('\n') || before[length] == '\n';
    EXPECT_EQ(TwoLooks(left), whole_lines ? left : "! k.yaml: is cut off in the middle of a line");
  }
}

TEST_F(SettledTextTest, AnErrorIsToldOnceAndItsEndIsTold) {
  const absl::Status error = absl::UnavailableError("k.yaml: Input/output error");
  EXPECT_EQ(TwoLooks(error), "! k.yaml: Input/output error");
  EXPECT_EQ(TwoLooks(error), "");
  EXPECT_EQ(TwoLooks(absl::NotFoundError("k.yaml: gone")), "! k.yaml: gone");
  EXPECT_EQ(TwoLooks(std::string(kBefore)), kBefore);
}

}  // namespace
}  // namespace kvroute
