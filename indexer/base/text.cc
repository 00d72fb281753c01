#include "indexer/base/text.h"

#include <cstddef>
#include <cstdint>

namespace kvroute {
namespace {

// Bytes of the well-formed sequence that starts at `at`, 0 if none does. The second byte carries
// the rules against overlong forms, surrogates and values above U+10FFFF (Unicode 15, table 3-7).
size_t SequenceLength(const uint8_t* at, size_t left) {
  const uint8_t lead = at[0];
  size_t length = 0;
  uint8_t low = 0x80;
  uint8_t high = 0xbf;
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
  }
  if (length == 0 || length > left || at[1] < low || at[1] > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if ((at[i] & 0xc0) != 0x80) return 0;
  }
  return length;
}

const uint8_t* Bytes(std::string_view text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

bool IsControl(uint8_t byte) { return byte < 0x20 || byte == 0x7f; }

// U+0080 to U+009F, which a terminal may obey as it does the control bytes.
bool IsWideControl(const uint8_t* at, size_t length) {
  return length == 2 && at[0] == 0xc2 && at[1] < 0xa0;
}

}  // namespace

bool IsValidUtf8(std::string_view text) {
  const auto* at = reinterpret_cast<const uint8_t*>(text.data());
  size_t left = text.size();
  uint8_t high = 0;
  for (const char byte : text) high |= static_cast<uint8_t>(byte);
  if (high < 0x80) return true;  // nearly all text
  while (left > 0) {
    const size_t length = SequenceLength(at, left);
    if (length == 0) return false;
    at += length;
    left -= length;
  }
  return true;
}

bool IsOneLine(std::string_view text) {
  bool printable = true;  // ASCII, as nearly all text
  for (const char c : text) printable &= c >= 0x20 && c < 0x7f;
  return printable || OneLine(text) == text;
}

std::string OneLine(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string line;
  line.reserve(text.size());
  while (!text.empty()) {
    const size_t length = SequenceLength(Bytes(text), text.size());
    if (length != 0 && !IsControl(Bytes(text)[0]) && !IsWideControl(Bytes(text), length)) {
      line.append(text.substr(0, length));
      text.remove_prefix(length);
      continue;
    }
    const uint8_t byte = Bytes(text)[0];
    line.append({'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]});
    text.remove_prefix(1);
  }
  return line;
}

}  // namespace kvroute
