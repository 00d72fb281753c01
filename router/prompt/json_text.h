#ifndef KVROUTE_ROUTER_PROMPT_JSON_TEXT_H_
#define KVROUTE_ROUTER_PROMPT_JSON_TEXT_H_

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "indexer/event/event.h"

// Small tools for JSON text that is kept as it came. A *raw* value is its text: of a string the
// quotes and escapes too. They read what they must and check no more: text that is no JSON gives an
// error or nonsense of bounded size, never a read beyond its end.
namespace kvroute {

inline bool IsJsonSpace(char byte) {
  return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}
// Without the white space around it.
std::string_view TrimJson(std::string_view text);

inline bool IsJsonString(std::string_view raw) { return !raw.empty() && raw.front() == '"'; }
inline bool IsJsonArray(std::string_view raw) { return !raw.empty() && raw.front() == '['; }
inline bool IsJsonObject(std::string_view raw) { return !raw.empty() && raw.front() == '{'; }

// What a raw string means, without quotes and escapes. False: it is no string, or has an unknown
// escape or half of a surrogate pair.
bool UnescapeJsonString(std::string_view raw, std::string* text);
// The same of a string without escapes, where it lies; nullopt: it is none, or has some.
std::optional<std::string_view> PlainJsonString(std::string_view raw);
// Appends text as a raw string. What is not UTF-8 is written as U+FFFD.
void AppendJsonString(std::string_view text, std::string* out);

// A raw value that is an integer from 0 to UINT32_MAX, or (as some clients write them) a float with
// nothing behind the point.
std::optional<uint32_t> JsonUint32(std::string_view raw);

// Steps through the elements of a raw array or the fields of a raw object, one level deep. Strings
// are passed over at the speed of memchr; nesting costs no stack.
//
//   JsonCursor cursor(raw);
//   std::string_view key, value;
//   while (cursor.NextField(&key, &value)) ...
//   if (!cursor.ok()) ...
class JsonCursor {
 public:
  explicit JsonCursor(std::string_view raw);

  // False at the end, and when the text is not what was asked for.
  bool NextElement(std::string_view* value);
  bool NextField(std::string_view* raw_key, std::string_view* value);
  // The same in two steps: after the first, at() is where the value begins.
  bool NextName(std::string_view* raw_key);
  bool TakeValue(std::string_view* value);
  size_t at() const { return at_; }

  // Whether all of it was read and it was an array, or an object.
  bool ok() const { return state_ == State::kEnd; }

 private:
  enum class State : uint8_t { kStart, kInside, kEnd, kBroken };

  bool Enter(char open, char close);
  bool Fail();
  void SkipSpace();
  bool SkipString();

  std::string_view text_;
  size_t at_ = 0;
  State state_ = State::kStart;
};

// The fields of a raw object that are asked for, by name; of a name that comes twice the last, as
// engines take it. A missing or null one stays empty. Names are compared without unescaping: a name
// written with escapes is another one. False: it is no object.
struct JsonFieldWanted {
  std::string_view name;
  std::string_view* raw;
};
bool ReadJsonFields(std::string_view raw, std::initializer_list<JsonFieldWanted> wanted);

// What is between the quotes of a raw string, escapes as they are.
inline std::string_view InsideJsonString(std::string_view raw) {
  return raw.size() < 2 ? std::string_view() : raw.substr(1, raw.size() - 2);
}

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_PROMPT_JSON_TEXT_H_
