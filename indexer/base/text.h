#ifndef KVROUTE_INDEXER_BASE_TEXT_H_
#define KVROUTE_INDEXER_BASE_TEXT_H_

#include <string>
#include <string_view>

namespace kvroute {

// Well-formed UTF-8: shortest forms only, no surrogates, nothing above U+10FFFF.
bool IsValidUtf8(std::string_view text);

// As one line of plain text: control bytes and what is not UTF-8 are written \x1b. A terminal or a
// reader of lines takes nothing in it for anything but text.
std::string OneLine(std::string_view text);
// Whether it is that already.
bool IsOneLine(std::string_view text);

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_BASE_TEXT_H_
