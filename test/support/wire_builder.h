#ifndef KVROUTE_TEST_SUPPORT_WIRE_BUILDER_H_
#define KVROUTE_TEST_SUPPORT_WIRE_BUILDER_H_

#include <bit>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Builds msgpack by concatenating strings, in any width and with any claimed count, so that a test
// can write payloads that no encoder would. Written apart from the decoder and from the engines'
// encoder: it shares no mistake with them.
namespace kvroute::wire {

inline std::string BigEndian(uint64_t value, int bytes) {
  std::string out;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(value >> shift & 0xff));
  }
  return out;
}

// A first byte and a number of `bytes` bytes after it.
inline std::string Head(int first_byte, uint64_t number = 0, int bytes = 0) {
  std::string out(1, static_cast<char>(first_byte));
  out += BigEndian(number, bytes);
  return out;
}

inline const std::string kNil = Head(0xc0);
inline const std::string kTrue = Head(0xc3);

inline std::string Uint(uint64_t value) {
  if (value < 0x80) return Head(static_cast<int>(value));
  if (value <= 0xff) return Head(0xcc, value, 1);
  if (value <= 0xffff) return Head(0xcd, value, 2);
  if (value <= 0xffff'ffff) return Head(0xce, value, 4);
  return Head(0xcf, value, 8);
}
inline std::string Int(int64_t value) {
  if (value >= 0) return Uint(static_cast<uint64_t>(value));
  if (value >= -32) return Head(static_cast<int>(value & 0xff));
  return Head(0xd3, static_cast<uint64_t>(value), 8);
}
inline std::string Double(double value) { return Head(0xcb, std::bit_cast<uint64_t>(value), 8); }
inline std::string Float(float value) { return Head(0xca, std::bit_cast<uint32_t>(value), 4); }

inline std::string Str(std::string_view text) {
  std::string out =
      text.size() < 32 ? Head(0xa0 | static_cast<int>(text.size())) : Head(0xdb, text.size(), 4);
  return out.append(text);
}
inline std::string Bin(std::string_view bytes) { return Head(0xc4, bytes.size(), 1).append(bytes); }
inline std::string Ext(std::string_view bytes) {
  return Head(0xc7, bytes.size(), 1).append(Head(5)).append(bytes);
}

inline std::string Array(const std::vector<std::string>& values) {
  std::string out = values.size() < 16 ? Head(0x90 | static_cast<int>(values.size()))
                                       : Head(0xdc, values.size(), 2);
  for (const std::string& value : values) out += value;
  return out;
}

using Pairs = std::vector<std::pair<std::string, std::string>>;  // key as text, value as msgpack
inline std::string Map(const Pairs& pairs) {
  std::string out =
      pairs.size() < 16 ? Head(0x80 | static_cast<int>(pairs.size())) : Head(0xde, pairs.size(), 2);
  for (const auto& [key, value] : pairs) out.append(Str(key)).append(value);
  return out;
}

inline std::string Hashes(std::initializer_list<uint64_t> hashes) {
  std::vector<std::string> values;
  for (const uint64_t hash : hashes) values.push_back(Uint(hash));
  return Array(values);
}
// Tokens first, first + 1, ...
inline std::string Tokens(uint32_t first, uint32_t count) {
  std::vector<std::string> values;
  for (uint32_t i = 0; i < count; ++i) values.push_back(Uint(first + i));
  return Array(values);
}

inline std::string Batch(const std::vector<std::string>& events) {
  return Array({Double(1757500000.25), Array(events), Uint(0)});
}

// A good map store of block 7 (tokens 100..103, block size 4); fields that a test gives replace or
// follow these.
inline std::string StoredMap(const Pairs& changes = {}) {
  Pairs pairs = {{"type", Str("BlockStored")}, {"block_hashes", Hashes({7})},
                 {"parent_block_hash", kNil},  {"token_ids", Tokens(100, 4)},
                 {"block_size", Uint(4)},      {"lora_id", kNil},
                 {"medium", Str("GPU")},       {"lora_name", kNil}};
  for (const auto& change : changes) {
    bool found = false;
    for (auto& pair : pairs) {
      if (pair.first == change.first) {
        pair.second = change.second;
        found = true;
      }
    }
    if (!found) pairs.push_back(change);
  }
  return Map(pairs);
}

// The same in an array, with what a test appends after the medium.
inline std::string StoredArray(const std::vector<std::string>& after_medium = {}) {
  std::vector<std::string> values = {
      Str("BlockStored"), Hashes({7}), kNil, Tokens(100, 4), Uint(4), kNil, Str("GPU")};
  values.insert(values.end(), after_medium.begin(), after_medium.end());
  return Array(values);
}

inline std::string Removed(uint64_t hash) {
  return Map(
      {{"type", Str("BlockRemoved")}, {"block_hashes", Hashes({hash})}, {"medium", Str("GPU")}});
}

}  // namespace kvroute::wire

#endif  // KVROUTE_TEST_SUPPORT_WIRE_BUILDER_H_
