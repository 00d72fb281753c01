#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "indexer/event/decoder.h"
#include "test/support/wire_builder.h"

// A binary of its own: every allocation of the process is counted.
namespace {
std::atomic<uint64_t> allocations{0};

void* Counted(size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) std::abort();
  return memory;
}
}  // namespace

[[gnu::noinline]] void* operator new(size_t size) { return Counted(size); }
void* operator new[](size_t size) { return Counted(size); }
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

namespace kvroute {
namespace {

using namespace wire;

std::vector<std::string> Payloads() {
  const std::string extra_keys = Array({Array(
      {Str("sql"), Array({Str("image"), Int(-4)}), Str("salt"), Bin(std::string(32, 'd'))})});
  const std::string many = StoredMap(
      {{"block_hashes", Array(std::vector<std::string>(500, Int(-5)))}, {"token_ids", Array({})}});
  std::vector<std::string> events(300, StoredMap({{"extra_keys", extra_keys}}));
  events.push_back(many);
  events.push_back(kNil);
  return {
      Batch({StoredArray({Str("sql"), extra_keys}), Removed(7)}),
      Batch({StoredMap({{"token_ids", Tokens(1, 4000)}, {"block_size", Uint(4000)}})}),
      Batch(events),
      Batch({Map({{"block_hashes", Hashes({1})}, {"type", Str("BlockRemoved")}})}),
      Batch({StoredMap(
          {{"token_ids", Array({Array({Uint(1), Uint(2)})})}, {"block_size", Uint(1)}})}),
      Batch({StoredMap({{"medium", Uint(1)}}), Array({Str("Future")}), Map({})}),
      Batch({StoredMap()}).substr(0, 60),
  };
}

TEST(DecoderAllocation, SteadyStateAllocatesNothing) {
  const std::vector<std::string> payloads = Payloads();
  Decoder decoder;
  DecodedBatch batch;
  const auto decode_all = [&] {
    for (const std::string& payload : payloads) decoder.Decode(payload, &batch);
  };
  const uint64_t before_first = allocations.load();
  decode_all();
  EXPECT_GT(allocations.load(), before_first);  // the counter counts
  decode_all();
  const uint64_t before = allocations.load();
  for (int round = 0; round < 10; ++round) decode_all();
  EXPECT_EQ(allocations.load(), before);
}

TEST(DecoderAllocation, EventsThatAreSkippedDoNotAddUp) {
  std::vector<std::string> tokens(4000, Uint(1));
  tokens.push_back(kNil);
  const std::string bad = StoredMap({{"token_ids", Array(tokens)}});
  const std::string payload = Batch(std::vector<std::string>(2000, bad));
  Decoder decoder;
  DecodedBatch batch;
  const uint64_t before = allocations.load();
  EXPECT_EQ(decoder.Decode(payload, &batch), DecodeReason::kOk);
  EXPECT_EQ(batch.skipped.size(), 2000u);
  EXPECT_LT(allocations.load() - before, 40u);
}

}  // namespace
}  // namespace kvroute
