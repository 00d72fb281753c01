#include <fmt/core.h>

#include <cstdlib>

#include "router/prompt/json_text.h"
#include "router/prompt/render/anthropic_chat.h"

namespace kvroute {
namespace {

constexpr int kMaxPythonJsonDepth = 64;

void AppendEscape(uint32_t unit, std::string* out) { *out += fmt::format("\\u{:04x}", unit); }

// One character of valid UTF-8 from `*at` on.
uint32_t TakeCharacter(std::string_view text, size_t* at) {
  const auto byte = [&](size_t i) {
    return static_cast<uint32_t>(static_cast<unsigned char>(text[i]));
  };
  const uint32_t first = byte(*at);
  const size_t more = first < 0xC0 ? 0 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
  if (*at + more >= text.size()) {  // cut: no text of ours
    *at = text.size();
    return 0xFFFD;
  }
  uint32_t code = more == 0 ? first : first & (0x3Fu >> more);
  for (size_t i = 1; i <= more; ++i) code = code << 6 | (byte(*at + i) & 0x3F);
  *at += more + 1;
  return code;
}

char ShortEscape(uint32_t code) {
  switch (code) {
    case '"':
      return '"';
    case '\\':
      return '\\';
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    case '\f':
      return 'f';
    case '\b':
      return 'b';
    default:
      return '\0';
  }
}

void AppendAsciiString(std::string_view text, std::string* out) {
  out->push_back('"');
  for (size_t at = 0; at < text.size();) {
    const uint32_t code = TakeCharacter(text, &at);
    if (const char escape = ShortEscape(code); escape != '\0') {
      out->push_back('\\');
      out->push_back(escape);
    } else if (code >= 0x20 && code < 0x7F) {
      out->push_back(static_cast<char>(code));
    } else if (code < 0x10000) {
      AppendEscape(code, out);
    } else {
      AppendEscape(0xD800 + ((code - 0x10000) >> 10), out);
      AppendEscape(0xDC00 + ((code - 0x10000) & 0x3FF), out);
    }
  }
  out->push_back('"');
}

// Integers as they are, others as Python's repr of a float.
void AppendNumber(std::string_view raw, std::string* out) {
  if (raw.find_first_of(".eE") == std::string_view::npos) {
    *out += raw == "-0" ? "0" : raw;
    return;
  }
  const double value = std::strtod(std::string(raw).c_str(), nullptr);
  std::string text = fmt::format("{}", value);
  if (text == "inf" || text == "-inf") text = value > 0 ? "Infinity" : "-Infinity";
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  *out += text;
}

bool AppendValue(std::string_view raw, int depth, std::string* out) {
  if (raw.empty() || depth > kMaxPythonJsonDepth) return false;
  JsonCursor cursor(raw);
  std::string_view key, value;
  std::string text;
  bool first = true;
  switch (raw.front()) {
    case '"':
      if (!UnescapeJsonString(raw, &text)) return false;
      AppendAsciiString(text, out);
      return true;
    case '[':
      *out += '[';
      while (cursor.NextElement(&value)) {
        if (!first) *out += ", ";
        first = false;
        if (!AppendValue(value, depth + 1, out)) return false;
      }
      *out += ']';
      return cursor.ok();
    case '{':
      *out += '{';
      while (cursor.NextField(&key, &value)) {
        if (!first) *out += ", ";
        first = false;
        if (!AppendValue(key, depth + 1, out)) return false;
        *out += ": ";
        if (!AppendValue(value, depth + 1, out)) return false;
      }
      *out += '}';
      return cursor.ok();
    case 't':
    case 'f':
    case 'n':
      *out += raw;
      return raw == "true" || raw == "false" || raw == "null";
    default:
      AppendNumber(raw, out);
      return true;
  }
}

}  // namespace

bool AppendPythonJson(std::string_view raw, std::string* out) { return AppendValue(raw, 0, out); }

}  // namespace kvroute
