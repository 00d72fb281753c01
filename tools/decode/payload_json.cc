#include "tools/decode/payload_json.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/escaping.h"
#include "indexer/event/msgpack_cursor.h"

namespace kvroute {
namespace {

using Json = nlohmann::ordered_json;

// Integers up to here are doubles without loss, and are printed as integers.
constexpr double kMaxExactInteger = 9'007'199'254'740'992.0;

Json NumberJson(double number) {
  if (!std::isfinite(number)) return nullptr;
  if (number == std::floor(number) && std::abs(number) < kMaxExactInteger) {
    return static_cast<int64_t>(number);
  }
  return number;
}

Json BytesJson(std::string_view bytes) {
  return {{"bytes", absl::BytesToHexString(absl::string_view(bytes.data(), bytes.size()))}};
}

Json TextJson(std::string_view text) {
  if (text.data() == nullptr) return nullptr;
  return std::string(text);
}

template <typename T>
Json OptionalJson(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json HashJson(EngineHash hash) { return std::to_string(hash.value()); }

// One list a hash.
Json LookaheadJson(const Event& event) {
  Json lists = Json::array();
  for (size_t at = 0; at < event.lookahead_token_ids.size(); at += event.lookahead_tokens) {
    const auto list = event.lookahead_token_ids.subspan(at, event.lookahead_tokens);
    lists.push_back(std::vector<TokenId>(list.begin(), list.end()));
  }
  return lists;
}

// A msgpack value that the decoder has found to be whole, and so nested within kMaxSkipDepth.
Json ValueJson(MsgpackCursor* cursor);

Json ArrayJson(uint64_t count, MsgpackCursor* cursor) {
  Json array = Json::array();
  for (uint64_t i = 0; i < count; ++i) array.push_back(ValueJson(cursor));
  return array;
}

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json MapJson(uint64_t count, MsgpackCursor* cursor) {
  Json object = Json::object();
  for (uint64_t i = 0; i < count; ++i) {
    const Json key = ValueJson(cursor);
    object[key.is_string() ? key.get<std::string>() : Dump(key)] = ValueJson(cursor);
  }
  return object;
}

Json ValueJson(MsgpackCursor* cursor) {
  const MsgpackValue value = cursor->Read();
  switch (value.type) {
    case MsgpackType::kNil:
    case MsgpackType::kBroken:
      return nullptr;
    case MsgpackType::kBool:
      return value.number != 0;
    case MsgpackType::kInt:
      return value.negative ? Json(static_cast<int64_t>(value.number)) : Json(value.number);
    case MsgpackType::kFloat:
      return NumberJson(value.real);
    case MsgpackType::kStr:
      return std::string(value.bytes);
    case MsgpackType::kBin:
    case MsgpackType::kExt:
      return BytesJson(value.bytes);
    case MsgpackType::kArray:
      return ArrayJson(value.number, cursor);
    case MsgpackType::kMap:
      return MapJson(value.number, cursor);
  }
  return nullptr;
}

Json ExtraKeysJson(std::string_view raw) {
  if (raw.empty()) return nullptr;
  MsgpackCursor cursor(raw);
  return ValueJson(&cursor);
}

Json EventJson(const Event& event) {
  const bool stored = event.type == EventType::kStored;
  Json hashes = Json::array();
  for (const EngineHash hash : event.block_hashes) hashes.push_back(HashJson(hash));
  Json json;
  json["type"] = EventTypeName(event.type);
  json["block_hashes"] = std::move(hashes);
  json["parent"] = event.published_parent ? HashJson(*event.published_parent) : Json(nullptr);
  json["token_ids"] = std::vector<TokenId>(event.token_ids.begin(), event.token_ids.end());
  if (!event.lookahead_token_ids.empty()) json["lookahead_token_ids"] = LookaheadJson(event);
  json["block_size"] = stored && event.has_block_size ? Json(event.block_size) : Json(nullptr);
  json["tier"] = event.every_tier ? Json(nullptr) : Json(TierName(event.tier));
  json["lora_name"] = TextJson(event.lora_name);
  json["cache_salt"] = TextJson(event.cache_salt);
  json["group_idx"] = OptionalJson(event.group_idx);
  json["spec_kind"] = TextJson(event.spec_kind);
  json["extra_keys"] = ExtraKeysJson(event.extra_keys_raw);
  return json;
}

Json PayloadJson(std::string_view file, std::string_view status) {
  Json json;
  json["file"] = std::string(file);
  json["status"] = status;
  json["reason"] = nullptr;
  json["ts"] = nullptr;
  json["rank"] = nullptr;
  json["events"] = Json::array();
  json["skipped"] = Json::array();
  return json;
}

}  // namespace

std::string DecodedJson(std::string_view file, const DecodedBatch& batch) {
  Json json = PayloadJson(file, "ok");
  json["ts"] = NumberJson(batch.ts_published);
  json["rank"] = OptionalJson(batch.rank);
  for (const Event& event : batch.events) json["events"].push_back(EventJson(event));
  for (const SkippedEvent& skipped : batch.skipped) {
    json["skipped"].push_back(
        {{"index", skipped.position}, {"reason", DecodeReasonName(skipped.reason)}});
  }
  return Dump(json);
}

std::string RejectedJson(std::string_view file, std::string_view reason) {
  Json json = PayloadJson(file, "rejected");
  json["reason"] = std::string(reason);
  return Dump(json);
}

}  // namespace kvroute
