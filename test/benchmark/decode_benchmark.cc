// How fast payloads become events, per wire format: items are blocks of 16 tokens, bytes are of the
// payload. The walk of msgpack-cxx is what a decoder on its streaming visitor could reach at best:
// it reads every value and keeps nothing (docs/decisions/0004-a-cursor-of-our-own.md).
#define MSGPACK_NO_BOOST
#include <benchmark/benchmark.h>

#include <array>
#include <msgpack.hpp>
#include <random>
#include <string>

#include "indexer/base/check.h"
#include "indexer/event/decoder.h"
#include "test/support/wire_builder.h"

namespace kvroute {
namespace {

using namespace wire;

constexpr uint32_t kBlockSize = 16;
constexpr int kBlocksPerBatch = 1024;

enum Format : int { kVllmPositional, kVllmMap, kVllmBytes, kSglangMap };
constexpr std::array<const char*, 4> kFormatNames = {"vllm_positional", "vllm_map", "vllm_bytes",
                                                     "sglang_map"};

// Token ids as text has them: common ones are small. A tenth below 128, most in two bytes, some
// above 65,535.
uint32_t RandomToken(std::mt19937_64& random) {
  const uint64_t kind = random() % 100;
  if (kind < 10) return static_cast<uint32_t>(random() % 128);
  if (kind < 80) return static_cast<uint32_t>(random() % 65'536);
  return static_cast<uint32_t>(random() % 151'643);
}

std::string RandomHash(Format format, std::mt19937_64& random) {
  if (format == kSglangMap) return Int(static_cast<int64_t>(random()));
  if (format != kVllmBytes) return Uint(random());
  return Bin(BigEndian(random(), 8) + BigEndian(random(), 8) + BigEndian(random(), 8) +
             BigEndian(random(), 8));
}

std::string Stored(Format format, int blocks, std::mt19937_64& random) {
  std::vector<std::string> hashes(static_cast<size_t>(blocks));
  for (std::string& hash : hashes) hash = RandomHash(format, random);
  std::vector<std::string> tokens(static_cast<size_t>(blocks) * kBlockSize);
  for (std::string& token : tokens) token = Uint(RandomToken(random));
  const std::string parent = RandomHash(format, random);
  const std::string extra_keys = Array(std::vector<std::string>(static_cast<size_t>(blocks), kNil));
  if (format == kVllmPositional) {
    return Array({Str("BlockStored"), Array(hashes), parent, Array(tokens), Uint(kBlockSize), kNil,
                  Str("GPU"), kNil, extra_keys, Uint(0), Str("full_attention"), kNil});
  }
  Pairs pairs = {{"type", Str("BlockStored")},  {"block_hashes", Array(hashes)},
                 {"parent_block_hash", parent}, {"token_ids", Array(tokens)},
                 {"block_size", Uint(16)},      {"lora_id", kNil},
                 {"medium", Str("GPU")}};
  if (format != kSglangMap) {
    const Pairs vllm = {{"lora_name", kNil},
                        {"extra_keys", extra_keys},
                        {"group_idx", Uint(0)},
                        {"kv_cache_spec_kind", Str("full_attention")}};
    pairs.insert(pairs.end(), vllm.begin(), vllm.end());
  }
  return Map(pairs);
}

std::string Payload(Format format, int blocks_per_event) {
  std::mt19937_64 random(1);
  std::vector<std::string> events;
  for (int blocks = 0; blocks < kBlocksPerBatch; blocks += blocks_per_event) {
    events.push_back(Stored(format, blocks_per_event, random));
  }
  return Batch(events);
}

void Report(benchmark::State& state, const std::string& payload) {
  state.SetItemsProcessed(state.iterations() * kBlocksPerBatch);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(payload.size()));
  state.SetLabel(kFormatNames[static_cast<size_t>(state.range(0))]);
}

void BM_Decode(benchmark::State& state) {
  const std::string payload =
      Payload(static_cast<Format>(state.range(0)), static_cast<int>(state.range(1)));
  Decoder decoder;
  DecodedBatch batch;
  for (auto _ : state) {
    KVROUTE_CHECK(decoder.Decode(payload, &batch) == DecodeReason::kOk);
    benchmark::DoNotOptimize(batch.events.data());
  }
  KVROUTE_CHECK(batch.skipped.empty());
  Report(state, payload);
}

void BM_MsgpackCxxWalk(benchmark::State& state) {
  const std::string payload =
      Payload(static_cast<Format>(state.range(0)), static_cast<int>(state.range(1)));
  for (auto _ : state) {
    msgpack::null_visitor visitor;
    KVROUTE_CHECK(msgpack::parse(payload.data(), payload.size(), visitor));
    benchmark::ClobberMemory();
  }
  Report(state, payload);
}

void Formats(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgsProduct({{kVllmPositional, kVllmMap, kVllmBytes, kSglangMap}, {1, 64}});
}
BENCHMARK(BM_Decode)->Apply(Formats);
BENCHMARK(BM_MsgpackCxxWalk)->Apply(Formats);

}  // namespace
}  // namespace kvroute
