#include "indexer/base/enum_names.h"

#include <gtest/gtest.h>

#include <vector>

namespace kvroute {
namespace {

enum class Shape : uint8_t { kRound, kSquare, kNone };
constexpr auto kShapeNames = NamesUpTo<Shape::kNone>("round", "square", "");

TEST(EnumNamesTest, CountsAndNamesItsValuesInOrder) {
  static_assert(kShapeNames.size() == 3);
  static_assert(kShapeNames[Shape::kSquare] == "square");
  EXPECT_EQ(std::vector<std::string_view>(kShapeNames.begin(), kShapeNames.end()),
            (std::vector<std::string_view>{"round", "square", ""}));
}

TEST(EnumNamesTest, ParsesExactlyItsNames) {
  EXPECT_EQ(kShapeNames.Parse("round"), Shape::kRound);
  EXPECT_EQ(kShapeNames.Parse(""), Shape::kNone);
  for (const char* other : {"Round", "roun", "round ", "kRound"}) {
    EXPECT_EQ(kShapeNames.Parse(other), std::nullopt) << other;
  }
}

TEST(EnumNamesTest, JoinsItsNamesForMessages) {
  constexpr auto kTwo = NamesUpTo<Shape::kSquare>("round", "square");
  EXPECT_EQ(kTwo.Joined(), "round, square");
  EXPECT_EQ(NamesUpTo<Shape::kRound>("round").Joined(), "round");
}

}  // namespace
}  // namespace kvroute
