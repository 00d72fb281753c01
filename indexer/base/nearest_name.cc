#include "indexer/base/nearest_name.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "absl/strings/ascii.h"

namespace kvroute {
namespace {

// Nobody means a name by a word that is longer than any; what is written may be a megabyte.
constexpr size_t kLongestWord = 128;

std::string Folded(std::string_view text) {
  std::string folded(text);
  for (char& c : folded) c = c == '_' ? '-' : absl::ascii_tolower(static_cast<unsigned char>(c));
  return folded;
}

// Optimal string alignment: insertions, deletions, changes and swaps of neighbours.
size_t Distance(std::string_view a, std::string_view b) {
  std::array<std::vector<size_t>, 3> rows;  // the last two and this one
  for (auto& row : rows) row.resize(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) rows[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    const auto& before = rows[(i - 1) % 3];
    const auto& two_before = rows[(i + 1) % 3];
    auto& row = rows[i % 3];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({before[j] + 1, row[j - 1] + 1, before[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], two_before[j - 2] + 1);
      }
    }
  }
  return rows[a.size() % 3][b.size()];
}

}  // namespace

std::string NearestName(std::string_view word, const std::vector<std::string>& names) {
  if (word.empty() || word.size() > kLongestWord) return "";
  const std::string folded = Folded(word);
  std::string nearest, begun;
  size_t least = SIZE_MAX;
  bool tie = false;
  size_t beginnings = 0;
  for (const std::string& name : names) {
    const std::string other = Folded(name);
    if (other.starts_with(folded)) {
      begun = name;
      ++beginnings;
    }
    const size_t distance = Distance(folded, other);
    if (distance > std::max(folded.size(), other.size()) / 3 || distance > least) continue;
    tie = distance == least && name != nearest;
    least = distance;
    if (!tie) nearest = name;
  }
  if (!nearest.empty() && !tie) return nearest;
  return beginnings == 1 ? begun : "";
}

std::string DidYouMean(std::string_view word, const std::vector<std::string>& names) {
  const std::string nearest = NearestName(word, names);
  return nearest.empty() ? "" : "; did you mean \"" + nearest + "\"?";
}

}  // namespace kvroute
