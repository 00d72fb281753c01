#ifndef KVROUTE_TEST_SUPPORT_PRINTED_TABLE_H_
#define KVROUTE_TEST_SUPPORT_PRINTED_TABLE_H_

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>

namespace kvroute {

// A table that code prints and a page of docs/ shows, between
//   <!-- NAME: printed by FUNCTION -->   and   <!-- end of NAME -->
// With KVROUTE_WRITE_DOCS=1 it is written there instead of compared. Run from the source directory,
// as ctest does. `alike` is asked with what the page shows and what is printed now.
inline void ExpectPageShows(
    const char* page, const std::string& name, const std::string& function,
    const std::string& printed,
    const std::function<bool(const std::string&, const std::string&)>& alike = std::equal_to<>()) {
  const std::string begin_mark = "<!-- " + name + ": printed by " + function + " -->\n";
  std::ifstream in(page);
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  const size_t begin = text.find(begin_mark);
  const size_t end = text.find("<!-- end of " + name + " -->\n");
  ASSERT_NE(begin, std::string::npos) << page << " has no " << begin_mark;
  ASSERT_NE(end, std::string::npos) << page << " has no end of " << name;
  const size_t table = begin + begin_mark.size();
  if (std::getenv("KVROUTE_WRITE_DOCS") != nullptr) {
    text.replace(table, end - table, printed);
    std::ofstream(page) << text;
    return;
  }
  const std::string shown = text.substr(table, end - table);
  EXPECT_TRUE(alike(shown, printed)) << page << " shows\n"
                                     << shown << "and " << function << " prints\n"
                                     << printed << "KVROUTE_WRITE_DOCS=1 writes it";
}

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_PRINTED_TABLE_H_
