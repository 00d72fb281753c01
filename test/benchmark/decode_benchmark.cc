// How fast payloads become events, per wire format: blocks of 16 tokens, 1,024 a payload. The walk
// of msgpack-cxx is what a decoder on its streaming visitor could reach at best: it reads every
// value and keeps nothing (docs/decisions/0004-a-cursor-of-our-own.md).
#define MSGPACK_NO_BOOST
#include <benchmark/benchmark.h>

#include <msgpack.hpp>
#include <random>
#include <string>

#include "indexer/base/check.h"
#include "indexer/event/decoder.h"
#include "test/benchmark/support/sampler.h"
#include "test/support/wire_builder.h"

namespace kvroute {
namespace {

using namespace wire;

constexpr uint32_t kBlockSize = 16;
constexpr int kBlocksPerBatch = 1024;

enum Format : int { kVllmPositional, kVllmMap, kVllmBytes, kSglangMap };

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

// Percentiles are of whole payloads of kBlocksPerBatch blocks.
void Report(benchmark::State& state, Sampler* sampler, const std::string& payload) {
  sampler->Report(&state);
  const double seconds = sampler->MeanNs() * 1e-9;
  state.counters["blocks_per_s"] = kBlocksPerBatch / seconds;
  state.counters["decoded_bytes_per_s"] = static_cast<double>(payload.size()) / seconds;
}

void Decode(benchmark::State& state, Format format) {
  const std::string payload = Payload(format, static_cast<int>(state.range(0)));
  Decoder decoder;
  DecodedBatch batch;
  for (int warm_up = 0; warm_up < 2; ++warm_up) {
    KVROUTE_CHECK(decoder.Decode(payload, &batch) == DecodeReason::kOk);
  }
  Sampler sampler;
  for (auto _ : state) {
    sampler.Time([&] { KVROUTE_CHECK(decoder.Decode(payload, &batch) == DecodeReason::kOk); });
    benchmark::DoNotOptimize(batch.events.data());
  }
  KVROUTE_CHECK(batch.skipped.empty());
  Report(state, &sampler, payload);
}

void MsgpackCxxWalk(benchmark::State& state, Format format) {
  const std::string payload = Payload(format, static_cast<int>(state.range(0)));
  Sampler sampler;
  for (auto _ : state) {
    sampler.Time([&] {
      msgpack::null_visitor visitor;
      KVROUTE_CHECK(msgpack::parse(payload.data(), payload.size(), visitor));
      benchmark::ClobberMemory();
    });
  }
  Report(state, &sampler, payload);
}

void Sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("blocks_per_event")->Arg(1)->Arg(64);
}
BENCHMARK_CAPTURE(Decode, vllm_positional, kVllmPositional)->Apply(Sizes);
BENCHMARK_CAPTURE(Decode, vllm_map, kVllmMap)->Apply(Sizes);
BENCHMARK_CAPTURE(Decode, vllm_bytes, kVllmBytes)->Apply(Sizes);
BENCHMARK_CAPTURE(Decode, sglang_map, kSglangMap)->Apply(Sizes);
BENCHMARK_CAPTURE(MsgpackCxxWalk, vllm_positional, kVllmPositional)->Apply(Sizes);
BENCHMARK_CAPTURE(MsgpackCxxWalk, vllm_map, kVllmMap)->Apply(Sizes);
BENCHMARK_CAPTURE(MsgpackCxxWalk, vllm_bytes, kVllmBytes)->Apply(Sizes);
BENCHMARK_CAPTURE(MsgpackCxxWalk, sglang_map, kSglangMap)->Apply(Sizes);

void DecodeFloor(benchmark::State& state) { MeasureFloor(state); }
BENCHMARK(DecodeFloor);

}  // namespace
}  // namespace kvroute
