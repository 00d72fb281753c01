#ifndef KVROUTE_ROUTER_EDGE_EXT_PROC_WIRE_CURSOR_H_
#define KVROUTE_ROUTER_EDGE_EXT_PROC_WIRE_CURSOR_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kvroute {

// Reads the fields of one protobuf message where they lie:
//
//   WireCursor fields(bytes);
//   while (fields.Next()) { if (fields.field() == 4) Use(fields.bytes()); }
//   if (!fields.ok()) ...;  // the bytes are no message
//
// A nested message is read with a cursor of its own. Fields that nobody asks about cost a skip.
// Nothing is allocated, and nesting is as deep as its caller goes.
//
// Thread safety: one thread. Ownership: refers to the bytes.
class WireCursor {
 public:
  explicit WireCursor(std::string_view bytes) : left_(bytes) {}

  // The next field; false at the end, or where the bytes are no message.
  bool Next() {
    bytes_ = {};
    number_ = 0;
    uint64_t tag = 0;
    if (left_.empty()) return false;
    if (!ReadVarint(&tag) || tag >> 3 == 0 || tag >> 3 > kMaxField) return Fail();
    field_ = static_cast<uint32_t>(tag >> 3);
    switch (tag & 7) {
      case 0:
        return ReadVarint(&number_) || Fail();
      case 1:
        return Take(8) || Fail();
      case 2: {
        uint64_t length = 0;
        return (ReadVarint(&length) && Take(length)) || Fail();
      }
      case 5:
        return Take(4) || Fail();
      default:  // groups, which no message of ours has
        return Fail();
    }
  }
  bool ok() const { return ok_; }

  // Of the field that Next found. One of another type than asked for is empty, or 0.
  uint32_t field() const { return field_; }
  std::string_view bytes() const { return bytes_; }
  uint64_t number() const { return number_; }
  bool flag() const { return number_ != 0; }

 private:
  static constexpr uint64_t kMaxField = (uint64_t{1} << 29) - 1;

  bool Fail() {
    ok_ = false;
    left_ = {};
    return false;
  }
  bool Take(uint64_t length) {
    if (length > left_.size()) return false;
    bytes_ = left_.substr(0, length);
    left_.remove_prefix(length);
    return true;
  }
  bool ReadVarint(uint64_t* value) {
    *value = 0;
    for (size_t i = 0; i < left_.size() && i < 10; ++i) {
      const auto byte = static_cast<uint8_t>(left_[i]);
      *value |= uint64_t{byte & 0x7fu} << (7 * i);
      if (byte < 0x80) {
        left_.remove_prefix(i + 1);
        return true;
      }
    }
    return false;
  }

  std::string_view left_;
  std::string_view bytes_;
  uint64_t number_ = 0;
  uint32_t field_ = 0;
  bool ok_ = true;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_EXT_PROC_WIRE_CURSOR_H_
