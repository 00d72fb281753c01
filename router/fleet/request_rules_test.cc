#include "router/fleet/request_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace kvroute {
namespace {

TEST(RequestRulesTest, OfTwoObjectivesOfOneNameTheFirstCounts) {
  const RequestRules rules({{"batch", -1}, {"chat", 5}, {"batch", 7}}, {});
  EXPECT_EQ(rules.PriorityOf("batch"), -1);
  EXPECT_EQ(rules.PriorityOf("chat"), 5);
  EXPECT_EQ(rules.PriorityOf("bat"), std::nullopt);
  EXPECT_EQ(rules.objectives(), 2u);
}

TEST(RequestRulesTest, AModelOfItsOwnOutranksWhatIsForAll) {
  const RequestRules rules({}, {{std::nullopt, {{"all", 1}}},
                                {"a", {{"first", 1}}},
                                {std::nullopt, {{"late", 1}}},
                                {"a", {{"second", 1}}}});
  EXPECT_EQ(rules.RewriteOf("a", 0), "first");
  EXPECT_EQ(rules.RewriteOf("b", 0), "all");
  EXPECT_EQ(rules.rewrites(), 2u);
  EXPECT_EQ(RequestRules().RewriteOf("b", 0), "");
}

// A rule that leads nowhere is a rule, all the same: what it is for stays as it is.
TEST(RequestRulesTest, WithoutTargetsAModelStaysWhatItIs) {
  const RequestRules rules({}, {{"a", {}}, {"b", {{"x", 0}}}, {std::nullopt, {{"all", 1}}}});
  EXPECT_EQ(rules.RewriteOf("a", 1), "");
  EXPECT_EQ(rules.RewriteOf("b", 1), "");
  EXPECT_EQ(rules.RewriteOf("c", 1), "all");
}

TEST(RequestRulesTest, TargetsAreDrawnByTheirWeights) {
  const RequestRules rules({}, {{"a", {{"x", 1}, {"never", 0}, {"y", 3}}}});
  std::map<std::string, int> drawn;
  for (uint64_t random = 0; random < 400; ++random) {
    ++drawn[std::string(rules.RewriteOf("a", random))];
  }
  EXPECT_EQ(drawn, (std::map<std::string, int>{{"x", 100}, {"y", 300}}));
}

}  // namespace
}  // namespace kvroute
