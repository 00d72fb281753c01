#include "router/edge/http_json/fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "indexer/base/text.h"

namespace kvroute {

using Kind = FieldValue::Kind;

// What the JSON library tells of a text or of msgpack, value by value. Returning false ends it.
class FieldsReader {
 public:
  using Json = nlohmann::json;

  FieldsReader(Fields* fields, size_t most_numbers)
      : fields_(fields), most_numbers_(most_numbers) {}

  bool null() {
    Put(Kind::kNull);
    return goes_on_;
  }
  bool boolean(bool value) {
    if (FieldValue* const field = Put(Kind::kBool)) field->number = value ? 1 : 0;
    return goes_on_;
  }
  bool number_integer(Json::number_integer_t value) {
    return Number(static_cast<uint64_t>(value), value < 0);
  }
  bool number_unsigned(Json::number_unsigned_t value) { return Number(value, false); }
  bool number_float(Json::number_float_t, const Json::string_t&) {
    Put(Kind::kOther);
    return goes_on_;
  }
  bool string(Json::string_t& value) {
    if (!IsValidUtf8(value)) return goes_on_ = false;  // msgpack does not check
    if (FieldValue* const field = Put(Kind::kText)) field->text = std::move(value);
    return goes_on_;
  }
  bool binary(Json::binary_t& value) {
    if (FieldValue* const field = Put(Kind::kBytes)) field->text.assign(value.begin(), value.end());
    return goes_on_;
  }
  bool start_object(size_t) {
    if (depth_ > 0) Put(Kind::kOther);
    return goes_on_ = goes_on_ && ++depth_ <= Fields::kMaxDepth;
  }
  bool start_array(size_t) {
    if (FieldValue* const field = Put(Kind::kInts); field != nullptr && depth_ == 1) {
      list_ = field;
      list_->ints.reserve(most_numbers_);  // or a long list is there twice while it grows
    }
    return goes_on_ = goes_on_ && ++depth_ <= Fields::kMaxDepth;
  }
  bool end_object() { return End(); }
  bool end_array() { return End(); }
  bool key(Json::string_t& name) {
    if (depth_ != 1) return true;
    if (!IsValidUtf8(name)) return false;
    auto& fields = fields_->fields_;
    std::erase_if(fields, [&name](const auto& field) { return field.first == name; });
    if (fields.size() == Fields::kMaxFields) return false;
    fields.emplace_back(std::move(name), FieldValue());
    return true;
  }
  bool parse_error(size_t, const std::string&, const Json::exception&) { return false; }

  bool no_object() const { return no_object_; }

 private:
  bool End() {
    if (--depth_ == 1) list_ = nullptr;
    return true;
  }
  bool Number(uint64_t value, bool negative) {
    if (depth_ == 2 && list_ != nullptr) {
      list_->ints.push_back(value);
      list_->any_negative |= negative;
      list_->any_beyond_i64 |= !negative && value > INT64_MAX;
      return true;
    }
    if (FieldValue* const field = Put(Kind::kInt)) {
      field->number = value;
      field->negative = negative;
    }
    return goes_on_;
  }
  // The field that has this value, or nullptr: it is part of one, which is then of another kind.
  FieldValue* Put(Kind kind) {
    if (depth_ != 1) {
      no_object_ |= depth_ == 0;  // then it is not looked at
      goes_on_ = goes_on_ && !no_object_;
      if (list_ != nullptr) list_->kind = Kind::kOther;
      return nullptr;
    }
    FieldValue* const field = &fields_->fields_.back().second;
    field->kind = kind;
    return field;
  }

  Fields* const fields_;
  const size_t most_numbers_;   // in one list; 0: few
  FieldValue* list_ = nullptr;  // whose elements come
  size_t depth_ = 0;
  bool no_object_ = false;
  bool goes_on_ = true;
};

namespace {

size_t MostNumbers(std::string_view body, BodyFormat format) {
  constexpr size_t kFewBytes = 65'536;
  if (body.size() <= kFewBytes) return 0;
  if (format == BodyFormat::kMsgpack) return body.size();
  return static_cast<size_t>(std::count(body.begin(), body.end(), ',')) + 1;
}

}  // namespace

Fields::Result Fields::Read(std::string_view body, BodyFormat format) {
  fields_.clear();
  FieldsReader reader(this, MostNumbers(body, format));
  const auto input = format == BodyFormat::kMsgpack ? nlohmann::json::input_format_t::msgpack
                                                    : nlohmann::json::input_format_t::json;
  const bool whole = nlohmann::json::sax_parse(body.begin(), body.end(), &reader, input);
  if (reader.no_object()) return Result::kNoObject;
  return whole ? Result::kOk : Result::kBroken;
}

bool Fields::Has(std::string_view name) const {
  for (const auto& [known, value] : fields_) {
    if (known == name) return true;
  }
  return false;
}

const FieldValue* Fields::Find(std::string_view name) const {
  for (const auto& [known, value] : fields_) {
    if (known == name) return value.kind == Kind::kNull ? nullptr : &value;
  }
  return nullptr;
}

void FieldTaker::Refuse(FieldRefusal::Reason reason, std::string_view field, std::string message,
                        std::optional<size_t> index) {
  if (refusal_.has_value()) return;
  refusal_ = FieldRefusal{
      .reason = reason, .field = std::string(field), .index = index, .message = std::move(message)};
}

void FieldTaker::Require(std::string_view name) {
  if (fields_.Find(name) == nullptr) {
    Refuse(FieldRefusal::Reason::kMissing, name, fmt::format("missing field `{}`", name));
  }
}

void FieldTaker::Text(std::string_view name, std::string* value) {
  const FieldValue* const field = fields_.Find(name);
  if (field == nullptr) return;
  if (field->kind == Kind::kText) {
    *value = field->text;
  } else {
    Refuse(FieldRefusal::Reason::kWrongType, name, fmt::format("{}: not text", name));
  }
}

void FieldTaker::Uint(std::string_view name, uint64_t most, uint64_t* value) {
  const FieldValue* const field = fields_.Find(name);
  if (field == nullptr) return;
  if (field->kind != Kind::kInt) {
    Refuse(FieldRefusal::Reason::kWrongType, name, fmt::format("{}: not an integer", name));
  } else if (field->negative || field->number > most) {
    Refuse(FieldRefusal::Reason::kOutOfRange, name,
           fmt::format("{}: not from 0 to {}", name, most));
  } else {
    *value = field->number;
  }
}

void FieldTaker::Uint32(std::string_view name, uint32_t* value) {
  uint64_t wide = *value;
  Uint(name, UINT32_MAX, &wide);
  *value = static_cast<uint32_t>(wide);
}

void FieldTaker::BlockSize(std::string_view name, uint32_t* tokens) {
  Uint32(name, tokens);
  if (fields_.Find(name) != nullptr && *tokens == 0) {
    Refuse(FieldRefusal::Reason::kWrongValue, name, fmt::format("{}: must be 1 or more", name));
  }
}

void FieldTaker::TokenIds(std::string_view name, std::vector<TokenId>* ids) {
  const FieldValue* const field = fields_.Find(name);
  if (field == nullptr) return;
  if (field->kind == Kind::kBytes) {
    if (field->text.size() % sizeof(TokenId) != 0) {
      Refuse(FieldRefusal::Reason::kWrongValue, name,
             fmt::format("{}: {} bytes are no 32-bit numbers", name, field->text.size()));
      return;
    }
    ids->resize(field->text.size() / sizeof(TokenId));
    std::memcpy(ids->data(), field->text.data(), field->text.size());  // little-endian, as we are
    return;
  }
  if (field->kind != Kind::kInts) {
    Refuse(FieldRefusal::Reason::kNoList, name, fmt::format("{}: not a list of token ids", name));
    return;
  }
  ids->reserve(field->ints.size());
  for (const uint64_t id : field->ints) {
    if (id > UINT32_MAX) {
      Refuse(FieldRefusal::Reason::kOutOfRange, name,
             fmt::format("{}[{}]: not from 0 to {}", name, ids->size(), UINT32_MAX), ids->size());
      return;
    }
    ids->push_back(static_cast<TokenId>(id));
  }
}

void FieldTaker::Hashes(std::string_view name, std::vector<uint64_t>* hashes) {
  const FieldValue* const field = fields_.Find(name);
  if (field == nullptr) return;
  if (field->kind != Kind::kInts) {
    Refuse(FieldRefusal::Reason::kNoList, name, fmt::format("{}: not a list of hashes", name));
  } else if (field->any_negative && field->any_beyond_i64) {
    Refuse(FieldRefusal::Reason::kOutOfRange, name,
           fmt::format("{}: neither all signed nor all unsigned", name));
  } else {
    *hashes = field->ints;
  }
}

}  // namespace kvroute
