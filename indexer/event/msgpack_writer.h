#ifndef KVROUTE_INDEXER_EVENT_MSGPACK_WRITER_H_
#define KVROUTE_INDEXER_EVENT_MSGPACK_WRITER_H_

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace kvroute {

// Appends msgpack values to a string in the widths msgspec chooses, the engines' encoder: always
// the shortest. Sizes are the caller's own, below 2^32.
class MsgpackWriter {
 public:
  explicit MsgpackWriter(std::string* out) : out_(out) {}

  void Nil() { Byte(0xc0); }
  void Float64(double value) {
    Byte(0xcb);
    BigEndian(std::bit_cast<uint64_t>(value), 8);
  }
  void Uint(uint64_t value) {
    if (value < 0x80) {
      Byte(static_cast<uint8_t>(value));
    } else if (value <= 0xff) {
      Tagged(0xcc, value, 1);
    } else if (value <= 0xffff) {
      Tagged(0xcd, value, 2);
    } else if (value <= 0xffff'ffff) {
      Tagged(0xce, value, 4);
    } else {
      Tagged(0xcf, value, 8);
    }
  }
  void Int(int64_t value) {
    const auto bits = static_cast<uint64_t>(value);
    if (value >= 0) {
      Uint(bits);
    } else if (value >= -32) {
      Byte(static_cast<uint8_t>(bits));
    } else if (value >= INT8_MIN) {
      Tagged(0xd0, bits, 1);
    } else if (value >= INT16_MIN) {
      Tagged(0xd1, bits, 2);
    } else if (value >= INT32_MIN) {
      Tagged(0xd2, bits, 4);
    } else {
      Tagged(0xd3, bits, 8);
    }
  }
  void Str(std::string_view text) {
    Head(text.size(), {.fix = 0xa0, .fix_limit = 32, .w8 = 0xd9, .w16 = 0xda, .w32 = 0xdb});
    out_->append(text);
  }
  void Bin(std::string_view bytes) {
    Head(bytes.size(), {.fix = 0, .fix_limit = 0, .w8 = 0xc4, .w16 = 0xc5, .w32 = 0xc6});
    out_->append(bytes);
  }
  void Array(size_t size) {
    Head(size, {.fix = 0x90, .fix_limit = 16, .w8 = 0, .w16 = 0xdc, .w32 = 0xdd});
  }
  void Map(size_t size) {
    Head(size, {.fix = 0x80, .fix_limit = 16, .w8 = 0, .w16 = 0xde, .w32 = 0xdf});
  }

 private:
  // The tags of one kind of sized value; a limit of 0 or a w8 of 0 means that the kind lacks that
  // form.
  struct Tags {
    uint8_t fix;
    size_t fix_limit;
    uint8_t w8, w16, w32;
  };

  void Byte(uint8_t byte) { out_->push_back(static_cast<char>(byte)); }
  void BigEndian(uint64_t value, int bytes) {
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
      Byte(static_cast<uint8_t>(value >> shift));
  }
  void Tagged(uint8_t tag, uint64_t value, int bytes) {
    Byte(tag);
    BigEndian(value, bytes);
  }
  void Head(size_t size, const Tags& tags) {
    if (size < tags.fix_limit) {
      Byte(static_cast<uint8_t>(tags.fix | size));
    } else if (tags.w8 != 0 && size <= 0xff) {
      Tagged(tags.w8, size, 1);
    } else if (size <= 0xffff) {
      Tagged(tags.w16, size, 2);
    } else {
      Tagged(tags.w32, size, 4);
    }
  }

  std::string* out_;
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_EVENT_MSGPACK_WRITER_H_
