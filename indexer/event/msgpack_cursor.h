#ifndef KVROUTE_INDEXER_EVENT_MSGPACK_CURSOR_H_
#define KVROUTE_INDEXER_EVENT_MSGPACK_CURSOR_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "indexer/base/limits.h"

namespace kvroute {

// What a msgpack value is, by its first byte.
enum class MsgpackType : uint8_t {
  kNil,
  kBool,
  kInt,
  kFloat,
  kStr,
  kBin,
  kArray,
  kMap,
  kExt,
  kBroken,  // the reserved byte 0xc1, cut off, or more claimed than there are bytes for
};

// A value's head. Of str and bin the bytes follow in `bytes`; of arrays and maps the elements are
// read next.
struct MsgpackValue {
  MsgpackType type = MsgpackType::kBroken;
  bool negative = false;   // kInt: the value is the i64 of `number`
  uint64_t number = 0;     // kInt, kBool; element count of kArray, pair count of kMap
  double real = 0;         // kFloat
  std::string_view bytes;  // kStr, kBin, kExt (without its type byte)

  bool IsNil() const { return type == MsgpackType::kNil; }
};

// Reads msgpack from a bounded stretch of bytes, one head at a time; never beyond the end and
// without allocating.
//
// Errors: a value that does not fit in the bytes that are left is kBroken: strings are all there,
// and an array or map claims no more elements than there are bytes left. After kBroken the position
// is unspecified. Thread safety: none needed, it is a value.
class MsgpackCursor {
 public:
  MsgpackCursor() = default;
  explicit MsgpackCursor(std::string_view bytes)
      : at_(reinterpret_cast<const uint8_t*>(bytes.data())), end_(at_ + bytes.size()) {}

  const uint8_t* position() const { return at_; }
  const uint8_t* end() const { return end_; }
  size_t remaining() const { return static_cast<size_t>(end_ - at_); }
  bool AtEnd() const { return at_ == end_; }
  void Seek(const uint8_t* position) { at_ = position; }
  std::string_view Since(const uint8_t* start) const {
    return {reinterpret_cast<const char*>(start), static_cast<size_t>(at_ - start)};
  }

  // Reads one head, and the bytes of a str, bin or ext.
  MsgpackValue Read() {
    MsgpackValue value;
    if (at_ == end_) return value;
    // Nil, small integers, short strings and containers are most of what is read one by one.
    const uint8_t byte = *at_;
    if (byte <= 0x7f) {
      value.type = MsgpackType::kInt;
      value.number = byte;
    } else if (byte == 0xc0) {
      value.type = MsgpackType::kNil;
    } else if ((byte & 0xe0) == 0xa0 && (byte & 0x1fu) < remaining()) {
      value.type = MsgpackType::kStr;
      value.number = byte & 0x1fu;
      value.bytes = {reinterpret_cast<const char*>(at_ + 1), static_cast<size_t>(value.number)};
      at_ += value.number;
    } else if ((byte & 0xe0) == 0x80 && size_t{byte & 0x0fu} * 2 < remaining()) {
      value.type = byte < 0x90 ? MsgpackType::kMap : MsgpackType::kArray;
      value.number = byte & 0x0fu;
    } else {
      return ReadAny();
    }
    ++at_;
    return value;
  }

  // Steps over a nil, if that comes next.
  bool TakeNil() {
    const bool is_nil = at_ != end_ && *at_ == 0xc0;
    at_ += is_nil ? 1 : 0;
    return is_nil;
  }

  // Steps over one whole value. False when it is broken or nested deeper than `max_depth` arrays
  // and maps.
  bool Skip(size_t max_depth = limits::kMaxSkipDepth);

 private:
  MsgpackValue ReadAny();
  uint64_t Load(const uint8_t* at, int width) const;

  const uint8_t* at_ = nullptr;
  const uint8_t* end_ = nullptr;
};

inline uint64_t LoadBigEndian64(const uint8_t* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return __builtin_bswap64(word);
}

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_EVENT_MSGPACK_CURSOR_H_
