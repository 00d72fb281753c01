#include "router/prompt/json_text.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "indexer/base/text.h"

namespace kvroute {
namespace {

std::optional<uint32_t> HexDigits(std::string_view text) {
  if (text.size() < 4) return std::nullopt;
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) {
    const char digit = text[i];
    value <<= 4;
    if (digit >= '0' && digit <= '9') {
      value |= static_cast<uint32_t>(digit - '0');
    } else if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f') {
      value |= static_cast<uint32_t>((digit | 0x20) - 'a' + 10);
    } else {
      return std::nullopt;
    }
  }
  return value;
}

void AppendUtf8(uint32_t code, std::string* out) {
  const auto byte = [out](uint32_t value) { out->push_back(static_cast<char>(value)); };
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xC0 | code >> 6);
    byte(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    byte(0xE0 | code >> 12);
    byte(0x80 | (code >> 6 & 0x3F));
    byte(0x80 | (code & 0x3F));
  } else {
    byte(0xF0 | code >> 18);
    byte(0x80 | (code >> 12 & 0x3F));
    byte(0x80 | (code >> 6 & 0x3F));
    byte(0x80 | (code & 0x3F));
  }
}

// Takes \uXXXX, of a character outside the basic plane both halves, from behind the "\u" on.
bool TakeUnicodeEscape(std::string_view inside, size_t* at, std::string* text) {
  const std::optional<uint32_t> first = HexDigits(inside.substr(*at));
  if (!first.has_value()) return false;
  *at += 4;
  uint32_t code = *first;
  if (code >= 0xDC00 && code <= 0xDFFF) return false;
  if (code >= 0xD800 && code <= 0xDBFF) {
    if (inside.substr(*at, 2) != "\\u") return false;
    const std::optional<uint32_t> second = HexDigits(inside.substr(*at + 2));
    if (!second.has_value() || *second < 0xDC00 || *second > 0xDFFF) return false;
    *at += 6;
    code = 0x10000 + ((code - 0xD800) << 10) + (*second - 0xDC00);
  }
  AppendUtf8(code, text);
  return true;
}

// '\0': no such escape.
char SimpleEscape(char letter) {
  switch (letter) {
    case '"':
      return '"';
    case '\\':
      return '\\';
    case '/':
      return '/';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return '\0';
  }
}

}  // namespace

std::string_view TrimJson(std::string_view text) {
  while (!text.empty() && IsJsonSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsJsonSpace(text.back())) text.remove_suffix(1);
  return text;
}

bool UnescapeJsonString(std::string_view raw, std::string* text) {
  text->clear();
  if (raw.size() < 2 || raw.front() != '"' || raw.back() != '"') return false;
  const std::string_view inside = raw.substr(1, raw.size() - 2);
  for (size_t at = 0; at < inside.size();) {
    const size_t escape = std::min(inside.find('\\', at), inside.size());
    text->append(inside.substr(at, escape - at));
    at = escape;
    if (at == inside.size()) break;
    if (++at == inside.size()) return false;
    const char letter = inside[at++];
    if (letter == 'u') {
      if (!TakeUnicodeEscape(inside, &at, text)) return false;
      continue;
    }
    const char plain = SimpleEscape(letter);
    if (plain == '\0') return false;
    text->push_back(plain);
  }
  return true;
}

std::optional<std::string_view> PlainJsonString(std::string_view raw) {
  if (raw.size() < 2 || raw.front() != '"' || raw.back() != '"') return std::nullopt;
  const std::string_view inside = raw.substr(1, raw.size() - 2);
  if (inside.find('\\') != std::string_view::npos) return std::nullopt;
  return inside;
}

void AppendJsonString(std::string_view text, std::string* out) {
  if (!IsValidUtf8(text)) {
    std::string clean;
    for (size_t at = 0; at < text.size();) {
      size_t bytes = 1;
      while (bytes < 4 && at + bytes < text.size() && !IsValidUtf8(text.substr(at, bytes))) ++bytes;
      const std::string_view character = text.substr(at, bytes);
      const bool valid = IsValidUtf8(character);
      clean += valid ? character : std::string_view("\xEF\xBF\xBD");
      at += valid ? bytes : 1;
    }
    return AppendJsonString(clean, out);
  }
  static constexpr char kHex[] = "0123456789abcdef";
  out->push_back('"');
  for (const char byte : text) {
    if (byte == '"' || byte == '\\') {
      out->push_back('\\');
      out->push_back(byte);
    } else if (byte == '\n') {
      out->append("\\n");
    } else if (static_cast<unsigned char>(byte) < 0x20) {
      out->append("\\u00");
      out->push_back(kHex[static_cast<unsigned char>(byte) >> 4]);
      out->push_back(kHex[static_cast<unsigned char>(byte) & 15]);
    } else {
      out->push_back(byte);
    }
  }
  out->push_back('"');
}

std::optional<uint32_t> JsonUint32(std::string_view raw) {
  uint64_t value = 0;
  size_t at = 0;
  for (; at < raw.size() && raw[at] >= '0' && raw[at] <= '9'; ++at) {
    value = value * 10 + static_cast<uint64_t>(raw[at] - '0');
    if (value > std::numeric_limits<uint32_t>::max()) return std::nullopt;
  }
  if (at == 0) return std::nullopt;
  if (at < raw.size() && raw[at] == '.') {
    ++at;
    if (at == raw.size()) return std::nullopt;
    while (at < raw.size() && raw[at] == '0') ++at;
  }
  if (at != raw.size()) return std::nullopt;
  return static_cast<uint32_t>(value);
}

JsonCursor::JsonCursor(std::string_view raw) : text_(raw) {}

bool JsonCursor::Fail() {
  state_ = State::kBroken;
  return false;
}

void JsonCursor::SkipSpace() {
  while (at_ < text_.size() && IsJsonSpace(text_[at_])) ++at_;
}

// At the next element or key; false: there is none.
bool JsonCursor::Enter(char open, char close) {
  if (state_ == State::kEnd || state_ == State::kBroken) return false;
  SkipSpace();
  if (at_ == text_.size()) return Fail();
  const bool first = state_ == State::kStart;
  if (first) {
    if (text_[at_] != open) return Fail();
    state_ = State::kInside;
  } else if (text_[at_] == close) {
    state_ = State::kEnd;
    return false;
  } else if (text_[at_] != ',') {
    return Fail();
  }
  ++at_;
  SkipSpace();
  if (at_ == text_.size()) return Fail();
  if (first && text_[at_] == close) {
    state_ = State::kEnd;
    return false;
  }
  return true;
}

bool JsonCursor::SkipString() {
  for (++at_; at_ < text_.size(); ++at_) {
    const void* const quote = std::memchr(text_.data() + at_, '"', text_.size() - at_);
    if (quote == nullptr) break;
    at_ = static_cast<size_t>(static_cast<const char*>(quote) - text_.data());
    size_t escapes = 0;
    while (text_[at_ - 1 - escapes] == '\\') ++escapes;  // ends at the opening quote at the latest
    if (escapes % 2 == 0) {
      ++at_;
      return true;
    }
  }
  at_ = text_.size();
  return false;
}

bool JsonCursor::TakeValue(std::string_view* value) {
  const size_t begin = at_;
  size_t depth = 0;
  do {
    if (at_ == text_.size()) return Fail();
    const char byte = text_[at_];
    if (byte == '"') {
      if (!SkipString()) return Fail();
    } else if (byte == '[' || byte == '{') {
      ++depth;
      ++at_;
    } else if (byte == ']' || byte == '}') {
      if (depth == 0) return Fail();
      --depth;
      ++at_;
    } else if (depth > 0) {
      ++at_;
    } else {
      while (at_ < text_.size() && !std::strchr(",]} \t\r\n", text_[at_])) ++at_;
      if (at_ == begin) return Fail();
    }
  } while (depth > 0);
  *value = text_.substr(begin, at_ - begin);
  return true;
}

bool JsonCursor::NextElement(std::string_view* value) {
  return Enter('[', ']') && TakeValue(value);
}

bool JsonCursor::NextName(std::string_view* raw_key) {
  if (!Enter('{', '}')) return false;
  if (text_[at_] != '"') return Fail();
  const size_t begin = at_;
  if (!SkipString()) return Fail();
  *raw_key = text_.substr(begin, at_ - begin);
  SkipSpace();
  if (at_ == text_.size() || text_[at_] != ':') return Fail();
  ++at_;
  SkipSpace();
  return at_ != text_.size() || Fail();
}

bool JsonCursor::NextField(std::string_view* raw_key, std::string_view* value) {
  return NextName(raw_key) && TakeValue(value);
}

bool ReadJsonFields(std::string_view raw, std::initializer_list<JsonFieldWanted> wanted) {
  JsonCursor cursor(raw);
  std::string_view key, value;
  while (cursor.NextField(&key, &value)) {
    for (const JsonFieldWanted& field : wanted) {
      if (InsideJsonString(key) != field.name) continue;
      *field.raw = value == "null" ? std::string_view() : value;
    }
  }
  return cursor.ok();
}

}  // namespace kvroute
