#include "indexer/event/msgpack_cursor.h"

#include <array>

namespace kvroute {
namespace {

// What a first byte says. `width` is of the number that follows it: the value, or the length of
// what comes after.
struct Head {
  MsgpackType type = MsgpackType::kBroken;
  uint8_t width = 0;
  uint8_t inline_number = 0;  // fixint, fixstr, fixarray, fixmap, fixext, bool
  bool is_signed = false;
};

constexpr std::array<Head, 256> MakeHeads() {
  std::array<Head, 256> heads{};
  for (int byte = 0x00; byte <= 0x7f; ++byte) {
    heads[byte] = {MsgpackType::kInt, 0, static_cast<uint8_t>(byte), false};
  }
  for (int low = 0; low < 16; ++low) {
    heads[0x80 + low] = {MsgpackType::kMap, 0, static_cast<uint8_t>(low), false};
    heads[0x90 + low] = {MsgpackType::kArray, 0, static_cast<uint8_t>(low), false};
  }
  for (int low = 0; low < 32; ++low) {
    heads[0xa0 + low] = {MsgpackType::kStr, 0, static_cast<uint8_t>(low), false};
    heads[0xe0 + low] = {MsgpackType::kInt, 0, static_cast<uint8_t>(0xe0 + low), true};
  }
  heads[0xc0] = {MsgpackType::kNil, 0, 0, false};
  heads[0xc2] = {MsgpackType::kBool, 0, 0, false};
  heads[0xc3] = {MsgpackType::kBool, 0, 1, false};
  heads[0xca] = {MsgpackType::kFloat, 4, 0, false};
  heads[0xcb] = {MsgpackType::kFloat, 8, 0, false};
  for (int step = 0; step < 4; ++step) {
    heads[0xcc + step] = {MsgpackType::kInt, static_cast<uint8_t>(1 << step), 0, false};
    heads[0xd0 + step] = {MsgpackType::kInt, static_cast<uint8_t>(1 << step), 0, true};
  }
  for (int step = 0; step < 5; ++step) {
    heads[0xd4 + step] = {MsgpackType::kExt, 0, static_cast<uint8_t>(1 << step), false};
  }
  for (int step = 0; step < 3; ++step) {
    heads[0xc4 + step] = {MsgpackType::kBin, static_cast<uint8_t>(1 << step), 0, false};
    heads[0xc7 + step] = {MsgpackType::kExt, static_cast<uint8_t>(1 << step), 0, false};
    heads[0xd9 + step] = {MsgpackType::kStr, static_cast<uint8_t>(1 << step), 0, false};
  }
  for (int step = 0; step < 2; ++step) {
    heads[0xdc + step] = {MsgpackType::kArray, static_cast<uint8_t>(2 << step), 0, false};
    heads[0xde + step] = {MsgpackType::kMap, static_cast<uint8_t>(2 << step), 0, false};
  }
  return heads;
}
constexpr std::array<Head, 256> kHeads = MakeHeads();

}  // namespace

uint64_t MsgpackCursor::Load(const uint8_t* at, int width) const {
  if (width == 0) return 0;
  if (end_ - at >= 8) return LoadBigEndian64(at) >> (64 - 8 * width);
  uint64_t number = 0;
  for (int i = 0; i < width; ++i) number = number << 8 | at[i];
  return number;
}

MsgpackValue MsgpackCursor::ReadAny() {
  MsgpackValue value;
  if (at_ == end_) return value;
  const Head head = kHeads[*at_];
  ++at_;
  if (remaining() < head.width) return value;
  uint64_t number = head.width == 0 ? head.inline_number : Load(at_, head.width);
  at_ += head.width;

  switch (head.type) {
    case MsgpackType::kInt:
      if (head.is_signed) {
        const int shift = head.width == 0 ? 56 : 64 - 8 * head.width;
        const int64_t extended = static_cast<int64_t>(number << shift) >> shift;
        number = static_cast<uint64_t>(extended);
        value.negative = extended < 0;
      }
      break;
    case MsgpackType::kFloat:
      if (head.width == 4) {
        const uint32_t bits = static_cast<uint32_t>(number);
        float real;
        std::memcpy(&real, &bits, sizeof real);
        value.real = static_cast<double>(real);
      } else {
        std::memcpy(&value.real, &number, sizeof value.real);
      }
      break;
    case MsgpackType::kExt:
      if (at_ == end_) return value;
      ++at_;  // the type byte
      [[fallthrough]];
    case MsgpackType::kStr:
    case MsgpackType::kBin:
      if (number > remaining()) return value;
      value.bytes = {reinterpret_cast<const char*>(at_), static_cast<size_t>(number)};
      at_ += number;
      break;
    case MsgpackType::kArray:
      if (number > remaining()) return value;
      break;
    case MsgpackType::kMap:
      if (number * 2 > remaining()) return value;
      break;
    default:
      break;
  }
  value.type = head.type;
  value.number = number;
  return value;
}

bool MsgpackCursor::Skip(size_t max_depth) {
  // Values still to come at each open level; a level is left when its count is used up.
  std::array<uint64_t, limits::kMaxSkipDepth + 1> pending;
  if (max_depth > limits::kMaxSkipDepth) max_depth = limits::kMaxSkipDepth;
  size_t depth = 0;
  pending[0] = 1;
  while (true) {
    while (pending[depth] == 0) {
      if (depth == 0) return true;
      --depth;
    }
    --pending[depth];
    const MsgpackValue value = Read();
    if (value.type == MsgpackType::kBroken) return false;
    if (value.type != MsgpackType::kArray && value.type != MsgpackType::kMap) continue;
    if (depth == max_depth) return false;
    pending[++depth] = value.type == MsgpackType::kMap ? value.number * 2 : value.number;
  }
}

}  // namespace kvroute
