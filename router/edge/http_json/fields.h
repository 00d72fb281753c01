#ifndef KVROUTE_ROUTER_EDGE_HTTP_JSON_FIELDS_H_
#define KVROUTE_ROUTER_EDGE_HTTP_JSON_FIELDS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "indexer/event/event.h"

namespace kvroute {

// One value of a request's body.
struct FieldValue {
  enum class Kind : uint8_t {
    kNull,
    kBool,
    kInt,
    kText,
    kInts,   // a list of integers, perhaps empty
    kBytes,  // msgpack only
    kOther,  // a fraction, an object, another list
  };
  Kind kind = Kind::kNull;
  bool negative = false;        // kInt: the value is the i64 of `number`
  uint64_t number = 0;          // kInt, kBool
  std::string text;             // kText, kBytes
  std::vector<uint64_t> ints;   // kInts; negative ones as two's complement
  bool any_negative = false;    // of them
  bool any_beyond_i64 = false;  // of them
};

enum class BodyFormat : uint8_t { kJson, kMsgpack };

// What a body says: the fields of one object. Objects in it are looked over and not kept.
class Fields {
 public:
  enum class Result : uint8_t { kOk, kBroken, kNoObject };

  // Of a field that occurs twice the last one counts. Cost: linear in the body, and at most eight
  // bytes for each number of a list. A body nested deeper than kMaxDepth or with more than
  // kMaxFields fields is broken.
  static constexpr size_t kMaxDepth = 16;
  static constexpr size_t kMaxFields = 64;
  Result Read(std::string_view body, BodyFormat format);

  // nullptr: absent or null.
  const FieldValue* Find(std::string_view name) const;
  // Whether it is there, be it null.
  bool Has(std::string_view name) const;

 private:
  friend class FieldsReader;

  std::vector<std::pair<std::string, FieldValue>> fields_;
};

// Why a request is refused.
struct FieldRefusal {
  enum class Reason : uint8_t {
    kMissing,
    kWrongType,
    kWrongValue,
    kOutOfRange,
    kNoList,
    kUnsupported,
    kBroken,
  };
  Reason reason = Reason::kBroken;
  std::string field = "";
  std::optional<size_t> index = {};  // of the list's element that is wrong
  std::string message = "";
};

// Takes values out of fields and remembers the first that is not what it must be: read all, then
// look at refusal().
class FieldTaker {
 public:
  explicit FieldTaker(const Fields& fields) : fields_(fields) {}

  void Require(std::string_view name);
  // What is absent or null leaves the variable as it is.
  void Text(std::string_view name, std::string* value);
  void Uint(std::string_view name, uint64_t most, uint64_t* value);
  void Uint32(std::string_view name, uint32_t* value);
  void BlockSize(std::string_view name, uint32_t* tokens);  // 1 and more
  // A list of numbers, or as bytes: 32-bit little-endian ones.
  void TokenIds(std::string_view name, std::vector<TokenId>* ids);
  // Signed or unsigned, as bits.
  void Hashes(std::string_view name, std::vector<uint64_t>* hashes);

  void Refuse(FieldRefusal::Reason reason, std::string_view field, std::string message,
              std::optional<size_t> index = std::nullopt);
  const std::optional<FieldRefusal>& refusal() const { return refusal_; }

 private:
  const Fields& fields_;
  std::optional<FieldRefusal> refusal_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_HTTP_JSON_FIELDS_H_
