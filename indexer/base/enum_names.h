#ifndef KVROUTE_INDEXER_BASE_ENUM_NAMES_H_
#define KVROUTE_INDEXER_BASE_ENUM_NAMES_H_

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace kvroute {

// The names of an enum's values, in one table beside the enum; the table's size is the enum's
// count. For enums whose values are 0, 1, 2, ... without a hole:
//
//   enum class Shape : uint8_t { kRound, kSquare };
//   inline constexpr auto kShapeNames = NamesUpTo<Shape::kSquare>("round", "square");
//
// It does not compile when names are missing or too many up to the value given, the last one.
template <typename EnumType, size_t kSize>
class EnumNames {
 public:
  using Enum = EnumType;
  using Names = std::array<std::string_view, kSize>;
  explicit constexpr EnumNames(const Names& names) : names_(names) {}

  static constexpr size_t size() { return kSize; }
  // In the order of the values.
  constexpr typename Names::const_iterator begin() const { return names_.begin(); }
  constexpr typename Names::const_iterator end() const { return names_.end(); }

  // `value` must be one of the enum's.
  constexpr std::string_view operator[](Enum value) const {
    return names_[static_cast<size_t>(value)];
  }
  // nullopt: not a name of any. Upper and lower case differ.
  constexpr std::optional<Enum> Parse(std::string_view name) const {
    for (size_t i = 0; i < kSize; ++i) {
      if (names_[i] == name) return static_cast<Enum>(i);
    }
    return std::nullopt;
  }
  // "round, square": for messages that say what would have been understood.
  std::string Joined() const {
    std::string joined;
    for (const std::string_view name : names_) {
      if (!joined.empty()) joined += ", ";
      joined += name;
    }
    return joined;
  }

 private:
  Names names_;
};

template <auto kLast, typename... Names>
constexpr auto NamesUpTo(Names... names) {
  static_assert(sizeof...(Names) == static_cast<size_t>(kLast) + 1, "one name a value");
  return EnumNames<decltype(kLast), sizeof...(Names)>({names...});
}

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_ENUM_NAMES_H_
