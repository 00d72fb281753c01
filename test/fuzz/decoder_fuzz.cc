#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "indexer/base/check.h"
#include "indexer/base/limits.h"
#include "indexer/event/decoder.h"
#include "test/support/counted_allocations.h"

// Whatever the bytes: no crash, nothing that points outside of the payload, every event kept or
// skipped exactly once and in order, and the same answer from a fresh decoder, from one that has
// just decoded something else, and in every dialect the same verdict on the envelope; and decoded
// it takes a bounded multiple of its bytes.
namespace kvroute {
namespace {

void CheckInside(std::string_view payload, std::string_view view) {
  if (view.data() == nullptr) return;
  KVROUTE_CHECK(view.data() >= payload.data());
  KVROUTE_CHECK(view.data() + view.size() <= payload.data() + payload.size());
}

void CheckExtraKeys(std::string_view payload, const Event& event) {
  KVROUTE_CHECK(event.extra_keys.empty() || event.extra_keys.size() == event.block_hashes.size());
  for (const BlockExtraKeys& keys : event.extra_keys) {
    for (const MultimodalKey& key : keys.multimodal) CheckInside(payload, key.identifier);
    for (const std::string_view text : keys.strings) CheckInside(payload, text);
    for (const std::string_view digest : keys.digests) CheckInside(payload, digest);
    KVROUTE_CHECK(keys.integers.size() <= payload.size());
  }
}

void CheckEvent(std::string_view payload, const Event& event) {
  for (const std::string_view view :
       {event.medium, event.lora_name, event.cache_salt, event.spec_kind, event.extra_keys_raw}) {
    CheckInside(payload, view);
  }
  KVROUTE_CHECK(event.block_hashes.size() + event.token_ids.size() <= payload.size());
  if (event.tokens_per_hash != 0) {
    KVROUTE_CHECK(event.token_ids.size() == event.block_hashes.size() * event.tokens_per_hash);
    for (const EngineHash hash : event.block_hashes) KVROUTE_CHECK(event.parent != hash);
  }
  CheckExtraKeys(payload, event);
}

void CheckBatch(std::string_view payload, const DecodedBatch& batch) {
  CheckInside(payload, batch.unknown_tag);
  size_t kept = 0;
  size_t skipped = 0;
  for (size_t position = 0; position < batch.events.size() + batch.skipped.size(); ++position) {
    if (kept < batch.events.size() && batch.events[kept].position == position) {
      CheckEvent(payload, batch.events[kept++]);
    } else {
      KVROUTE_CHECK(skipped < batch.skipped.size());
      KVROUTE_CHECK(batch.skipped[skipped++].position == position);
    }
  }
}

bool Same(const Event& a, const Event& b) {
  return a.type == b.type && a.position == b.position && a.block_hashes == b.block_hashes &&
         a.tier == b.tier && a.medium == b.medium && a.group_idx == b.group_idx &&
         a.parent == b.parent && a.token_ids == b.token_ids && a.block_size == b.block_size &&
         a.lora_name == b.lora_name && a.extra_keys_raw == b.extra_keys_raw &&
         a.every_tier == b.every_tier && a.owned == b.owned;
}

void CheckSame(const DecodedBatch& a, const DecodedBatch& b) {
  KVROUTE_CHECK(a.rank == b.rank);
  KVROUTE_CHECK(a.events.size() == b.events.size() && a.skipped.size() == b.skipped.size());
  for (size_t i = 0; i < a.events.size(); ++i) KVROUTE_CHECK(Same(a.events[i], b.events[i]));
  for (size_t i = 0; i < a.skipped.size(); ++i) {
    KVROUTE_CHECK(a.skipped[i].reason == b.skipped[i].reason);
  }
}

void CheckMemory(std::string_view payload, const DecodedBatch& batch, int64_t allocated) {
  const size_t pages =
      batch.events.size() * sizeof(Event) + batch.skipped.size() * sizeof(SkippedEvent);
  KVROUTE_CHECK(static_cast<size_t>(allocated) + pages <=
                limits::kMaxDecodedBytesPerByte * payload.size() + limits::kDecodedSlackBytes);
}

void FuzzOne(std::string_view payload) {
  static Decoder reused;
  DecodedBatch first;
  DecodedBatch second;
  const int64_t before = most_live_bytes = live_bytes.load();
  Decoder fresh;
  const DecodeReason reason = fresh.Decode(payload, &first);
  CheckMemory(payload, first, most_live_bytes - before);
  KVROUTE_CHECK(reused.Decode(payload, &second) == reason);
  CheckBatch(payload, first);
  CheckSame(first, second);
  for (const EngineKind kind : {EngineKind::kVllm, EngineKind::kSglang, EngineKind::kMooncake}) {
    Decoder dialect(kind);
    DecodedBatch batch;
    KVROUTE_CHECK(dialect.Decode(payload, &batch) == reason);
    CheckBatch(payload, batch);
  }
}

}  // namespace
}  // namespace kvroute

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // A copy of exactly this size, so that the address sanitizer sees a read beyond it.
  const std::vector<char> payload(data, data + size);
  kvroute::FuzzOne({payload.data(), payload.size()});
  return 0;
}
