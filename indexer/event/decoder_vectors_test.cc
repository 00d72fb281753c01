#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/escaping.h"
#include "indexer/event/decoder.h"
#include "indexer/event/msgpack_cursor.h"
#include "test/support/vectors.h"

// Every payload of test/vectors, whose lists say what each means or how it is to be treated.
namespace kvroute {
namespace {

using nlohmann::json;

// index.json writes integers beyond 2^53 as {"int": "..."} and bin as {"bytes": hex}.
EngineHash HashOf(const json& value) {
  if (!value.is_object()) {
    return EngineHash(value.is_number_unsigned() ? value.get<uint64_t>()
                                                 : static_cast<uint64_t>(value.get<int64_t>()));
  }
  if (value.contains("bytes")) {
    const std::string hex = value["bytes"];
    return EngineHash(std::stoull(hex.substr(hex.size() - 16), nullptr, 16));
  }
  const std::string text = value["int"];
  return EngineHash(text[0] == '-' ? static_cast<uint64_t>(std::stoll(text)) : std::stoull(text));
}

// A listed event by field names, whichever way it was published.
json Named(const json& event) {
  if (event.is_object()) return event;
  const std::vector<std::string> stored = {
      "type",      "block_hashes",       "parent_block_hash",
      "token_ids", "block_size",         "lora_id",
      "medium",    "lora_name",          "extra_keys",
      "group_idx", "kv_cache_spec_kind", "kv_cache_spec_sliding_window"};
  const std::vector<std::string> removed = {"type", "block_hashes", "medium", "group_idx"};
  const std::vector<std::string>& names = event[0] == "BlockStored" ? stored : removed;
  json named;
  for (size_t i = 0; i < event.size(); ++i) named[names.at(i)] = event[i];
  if (named.contains("lora_name") && named["lora_name"].is_object()) {
    named["cache_salt"] = named["lora_name"]["cache_salt"];
    named["lora_name"] = nullptr;
  }
  return named;
}

Tier ListedTier(const json& event) {
  static const std::map<std::string, Tier> tiers = {
      {"GPU", Tier::kGpu},   {"CPU", Tier::kCpu},      {"CPU_PINNED", Tier::kCpu},
      {"DISK", Tier::kDisk}, {"STORAGE", Tier::kDisk}, {"EXTERNAL", Tier::kExternal}};
  const json medium = event.value("medium", json());
  return medium.is_null() ? Tier::kGpu : tiers.at(medium);
}

void ExpectText(const json& event, const char* field, std::string_view text) {
  const json listed = event.value(field, json());
  EXPECT_EQ(text.data() == nullptr, listed.is_null()) << field;
  if (listed.is_string()) {
    EXPECT_EQ(text, listed.get<std::string>()) << field;
  }
}

template <typename T>
void ExpectNumber(const json& event, const char* field, const std::optional<T>& number) {
  const json listed = event.value(field, json());
  EXPECT_EQ(number.has_value(), !listed.is_null()) << field;
  if (number) {
    EXPECT_EQ(*number, listed.get<T>()) << field;
  }
}

// A msgpack value as index.json writes it.
json Listed(MsgpackCursor* cursor) {
  const MsgpackValue value = cursor->Read();
  switch (value.type) {
    case MsgpackType::kStr:
      return std::string(value.bytes);
    case MsgpackType::kBin:
      return {{"bytes",
               absl::BytesToHexString(absl::string_view(value.bytes.data(), value.bytes.size()))}};
    case MsgpackType::kInt:
      return value.negative ? json(static_cast<int64_t>(value.number)) : json(value.number);
    case MsgpackType::kArray: {
      json array = json::array();
      for (uint64_t i = 0; i < value.number; ++i) array.push_back(Listed(cursor));
      return array;
    }
    default:
      EXPECT_TRUE(value.IsNil());
      return nullptr;
  }
}

void ExpectTokens(const json& listed, const Event& event) {
  if (listed.is_null()) {
    EXPECT_TRUE(event.token_ids.empty());
    return;
  }
  ASSERT_EQ(event.token_ids.size(), listed.size());
  for (size_t i = 0; i < listed.size(); ++i) {
    const json& token = listed[i].is_array() ? listed[i][0] : listed[i];
    EXPECT_EQ(event.token_ids[i], token.get<uint32_t>()) << "token " << i;
    EXPECT_EQ(event.bigram, listed[i].is_array());
  }
}

void ExpectHashes(const json& listed, const Event& event) {
  ASSERT_EQ(event.block_hashes.size(), listed.size());
  for (size_t i = 0; i < listed.size(); ++i) {
    EXPECT_EQ(event.block_hashes[i], HashOf(listed[i])) << "hash " << i;
  }
}

void ExpectStored(const json& listed, const Event& event) {
  const json parent = listed["parent_block_hash"];
  ASSERT_EQ(event.published_parent.has_value(), !parent.is_null());
  if (!parent.is_null()) {
    EXPECT_EQ(*event.published_parent, HashOf(parent));
  }
  ExpectTokens(listed["token_ids"], event);
  EXPECT_EQ(event.has_block_size, !listed["block_size"].is_null());
  if (event.has_block_size) {
    EXPECT_EQ(event.block_size, listed["block_size"].get<uint32_t>());
  }
  ExpectText(listed, "lora_name", event.lora_name);
  ExpectText(listed, "cache_salt", event.cache_salt);
  ExpectText(listed, "kv_cache_spec_kind", event.spec_kind);
  ExpectNumber(listed, "lora_id", event.lora_id);
  ExpectNumber(listed, "kv_cache_spec_sliding_window", event.sliding_window);
  const json extra_keys = listed.value("extra_keys", json());
  EXPECT_EQ(event.extra_keys_raw.empty(), extra_keys.is_null());
  if (!event.extra_keys_raw.empty()) {
    MsgpackCursor cursor(event.extra_keys_raw);
    EXPECT_EQ(Listed(&cursor), extra_keys);
  }
}

void ExpectEvent(const json& published, const Event& event) {
  const json listed = Named(published);
  static const std::map<std::string, EventType> types = {{"BlockStored", EventType::kStored},
                                                         {"BlockRemoved", EventType::kRemoved},
                                                         {"AllBlocksCleared", EventType::kCleared}};
  ASSERT_EQ(event.type, types.at(listed["type"]));
  if (event.type == EventType::kCleared) return;
  ExpectHashes(listed["block_hashes"], event);
  EXPECT_EQ(event.tier, ListedTier(listed));
  ExpectText(listed, "medium", event.medium);
  ExpectNumber(listed, "group_idx", event.group_idx);
  if (event.type == EventType::kStored) ExpectStored(listed, event);
}

void ExpectDecoded(const json& listed, DecodeReason reason, const DecodedBatch& batch) {
  ASSERT_EQ(reason, DecodeReason::kOk);
  EXPECT_EQ(batch.ts_published, listed[0].get<double>());
  EXPECT_TRUE(batch.skipped.empty());
  const json rank = listed.size() > 2 ? listed[2] : json();
  EXPECT_EQ(batch.rank.has_value(), !rank.is_null());
  if (batch.rank) {
    EXPECT_EQ(*batch.rank, rank.get<uint32_t>());
  }
  ASSERT_EQ(batch.events.size(), listed[1].size());
  for (size_t i = 0; i < batch.events.size(); ++i) ExpectEvent(listed[1][i], batch.events[i]);
}

// The payloads that list a treatment: the bad thing is the first event, and what comes after it
// must be there.
void ExpectTreated(const json& entry, DecodeReason reason, const DecodedBatch& batch) {
  const std::string expect = entry["expect"];
  if (expect.starts_with("reject_batch")) {
    EXPECT_NE(reason, DecodeReason::kOk);
    return;
  }
  ASSERT_EQ(reason, DecodeReason::kOk);
  if (expect.starts_with("skip_event_keep_rest")) {
    ASSERT_EQ(batch.skipped.size(), 1u);
    EXPECT_EQ(batch.skipped[0].position, 0u);
    for (size_t i = 0; i < batch.events.size(); ++i) EXPECT_EQ(batch.events[i].position, i + 1);
    return;
  }
  if (expect == "skip the two unknown events, keep the store") {
    ASSERT_EQ(batch.skipped.size(), 2u);
    EXPECT_EQ(batch.skipped[0].position, 0u);
    EXPECT_EQ(batch.skipped[1].position, 2u);
    ASSERT_EQ(batch.events.size(), 1u);
    EXPECT_EQ(batch.events[0].type, EventType::kStored);
    return;
  }
  EXPECT_TRUE(batch.skipped.empty()) << expect;
  EXPECT_FALSE(batch.events.empty()) << expect;
}

// What the list says of single payloads beyond the treatment.
void ExpectNote(const std::string& file, const DecodedBatch& batch) {
  const Event* const first = batch.events.empty() ? nullptr : &batch.events[0];
  if (file == "valid/unknown_medium.msgpack") {
    EXPECT_EQ(first->tier, Tier::kUnknown);
  } else if (file == "valid/nonminimal_ints.msgpack") {
    EXPECT_EQ(first->type, EventType::kRemoved);
    EXPECT_EQ(first->block_hashes, absl::MakeConstSpan({EngineHash(7)}));
    EXPECT_EQ(batch.rank, 0u);
  } else if (file == "valid/unknown_trailing_positions.msgpack") {
    EXPECT_EQ(batch.events.size(), 2u);
    EXPECT_EQ(batch.events[1].group_idx, 0u);
  } else if (file == "malformed/ts_nan.msgpack" || file == "malformed/ts_inf.msgpack") {
    EXPECT_EQ(batch.ts_seconds, 0);
  } else if (file == "malformed/tokens_empty_gpu.msgpack") {
    EXPECT_EQ(first->tokens_per_hash, 0u);
  } else if (file == "malformed/extra_keys_wrong_len.msgpack") {
    EXPECT_TRUE(first->extra_keys.empty() && first->extra_keys_raw.empty());
  } else if (file == "valid/vllm_v024_sliding_window_tail.msgpack") {
    EXPECT_EQ(first->tokens_per_hash, 0u);
  } else if (file == "valid/llmd_sim_old.msgpack" || file == "valid/vllm_v0260_observed.msgpack") {
    EXPECT_EQ(first->tokens_per_hash, 16u);
  } else if (file == "valid/sglang_v048_python_hash.msgpack") {
    EXPECT_EQ(first->parent, std::nullopt);
    EXPECT_EQ(batch.events[1].parent, first->block_hashes[0]);
  }
}

TEST(DecoderVectors, EveryPayloadMeansWhatIsListed) {
  const json index = ReadVectorJson("index.json");
  Decoder decoder;
  size_t payloads = 0;
  for (const json& entry : index["entries"]) {
    const std::string file = entry["file"];
    SCOPED_TRACE(file);
    const std::string payload = ReadVector(file);
    ASSERT_EQ(payload.size(), entry["bytes"].get<size_t>());
    DecodedBatch batch;
    const DecodeReason reason = decoder.Decode(payload, &batch);
    if (entry.contains("decoded")) {
      ExpectDecoded(entry["decoded"], reason, batch);
    } else {
      ExpectTreated(entry, reason, batch);
    }
    if (reason == DecodeReason::kOk) ExpectNote(file, batch);
    ++payloads;
  }
  EXPECT_GE(payloads, 123u);
}

// What real engine code wrote: one list of payloads, each with its meaning in a file of its own.
TEST(DecoderVectors, EveryCapturedPayloadMeansWhatIsListed) {
  const std::string folder = "captured/2026-11/";
  const json index = ReadVectorJson(folder + "index.json");
  Decoder decoder;
  for (const json& entry : index) {
    const std::string file = entry["file"];
    SCOPED_TRACE(file);
    const std::string payload = ReadVector(folder + file);
    ASSERT_EQ(payload.size(), entry["bytes"].get<size_t>());
    const std::string name = file.substr(0, file.rfind('.'));
    DecodedBatch batch;
    const DecodeReason reason = decoder.Decode(payload, &batch);
    ExpectDecoded(ReadVectorJson(folder + name + ".json")["decoded"], reason, batch);
  }
  EXPECT_EQ(index.size(), 42u);
}

// Both forms of one vLLM digest are the same key; SGLang's signed integers too.
TEST(DecoderVectors, SameBlocksHaveTheSameKeys) {
  const json index = ReadVectorJson("index.json");
  for (const json& entry : index["entries"]) {
    if (!entry.contains("same_blocks_as")) continue;
    Decoder first_decoder;
    Decoder second_decoder;
    DecodedBatch first;
    DecodedBatch second;
    const std::string a = ReadVector(entry["file"]);
    const std::string b = ReadVector(entry["same_blocks_as"]);
    ASSERT_EQ(first_decoder.Decode(a, &first), DecodeReason::kOk);
    ASSERT_EQ(second_decoder.Decode(b, &second), DecodeReason::kOk);
    EXPECT_EQ(first.events[0].block_hashes, second.events[0].block_hashes);
  }
}

}  // namespace
}  // namespace kvroute
