// What a batch costs: a constant for each of its bytes, whatever is in it and whatever waits. A
// batch eight times as long may take about eight times as long; a cost that grows with the square
// would be 64 times as much.
#include <gtest/gtest.h>
#include <time.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "indexer/event/decoder.h"
#include "indexer/stream/stream_applier.h"
#include "test/support/wire_builder.h"

namespace kvroute {
namespace {

using namespace wire;

constexpr uint64_t kHash = 0x1234'5678'9abc'def0;

std::string ArrayOf(const std::vector<std::string>& values) {
  std::string out = Head(0xdd, values.size(), 4);
  for (const std::string& value : values) out += value;
  return out;
}
std::string BatchOf(const std::vector<std::string>& events) {
  return Array({Double(1.0), ArrayOf(events), Uint(0)});
}
std::string HashArray(const std::vector<uint64_t>& hashes) {
  std::vector<std::string> values;
  for (const uint64_t hash : hashes) values.push_back(Head(0xcf, hash, 8));
  return ArrayOf(values);
}
// Blocks of one token.
std::string Stored(const std::vector<uint64_t>& hashes, const std::string& parent,
                   uint32_t first_token, const std::string& extra_keys = kNil) {
  std::vector<std::string> tokens;
  for (size_t i = 0; i < hashes.size(); ++i) {
    tokens.push_back(Uint(first_token + static_cast<uint32_t>(i)));
  }
  return Array({Str("BlockStored"), HashArray(hashes), parent, ArrayOf(tokens), Uint(1), kNil,
                Str("GPU"), kNil, extra_keys});
}
std::string Copy(uint64_t hash, std::string_view medium) {
  return Array(
      {Str("BlockStored"), HashArray({hash}), kNil, Array({}), Uint(1), kNil, Str(medium)});
}
std::string Removed(uint64_t hash, std::string_view medium = "GPU") {
  return Array({Str("BlockRemoved"), HashArray({hash}), Str(medium)});
}
std::string Hash(uint64_t hash) { return Head(0xcf, hash, 8); }

struct Stream {
  Stream(PrefixIndex* index, IngestCounters* counters)
      : applier((status.id = *index->Open(CopyMode::kCounted), &status), size_t{64} << 20, index,
                counters) {}
  StreamStatus status;
  StreamApplier applier;
};

double ThreadSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// One family of bad batches by its size.
struct Kind {
  std::string_view name;
  // What has come before, on the stream and on another one; and the batch that is judged.
  std::function<std::vector<std::string>(size_t)> before;
  std::function<std::string(size_t)> batch;
  std::function<std::vector<std::string>(size_t)> on_another = [](size_t) {
    return std::vector<std::string>();
  };
};

double SecondsOf(const Kind& kind, size_t size) {
  PrefixIndex index({.max_streams = 4, .secret_seed = 11});
  IngestCounters counters;
  Stream other(&index, &counters);
  Stream stream(&index, &counters);
  Decoder decoder;
  DecodedBatch decoded;
  const auto apply = [&](Stream* to, const std::string& batch) {
    ASSERT_EQ(decoder.Decode(batch, &decoded), DecodeReason::kOk) << kind.name;
    to->applier.Apply(decoded);
  };
  for (const std::string& batch : kind.on_another(size)) apply(&other, batch);
  for (const std::string& batch : kind.before(size)) apply(&stream, batch);
  const std::string batch = kind.batch(size);
  const double start = ThreadSeconds();
  apply(&stream, batch);
  return ThreadSeconds() - start;
}

std::vector<Kind> Kinds() {
  const auto nothing = [](size_t) { return std::vector<std::string>(); };
  const auto repeat = [](size_t count, const std::function<std::string(size_t)>& event) {
    std::vector<std::string> events;
    for (size_t i = 0; i < count; ++i) events.push_back(event(i));
    return BatchOf(events);
  };
  std::vector<Kind> kinds;
  // Each waits for the same block that it also stores, so none is ever of no use.
  kinds.push_back(
      {"removals of a hash that waits in many events",
       [=](size_t size) {
         return std::vector<std::string>{
             repeat(size / 8,
                    [](size_t i) {
                      return Stored({kHash, i + 1}, Hash(99), 1);
                    }),
             repeat(size / 8, [](size_t i) { return Stored({i + 1'000'000}, Hash(kHash), 1); })};
       },
       [=](size_t size) { return repeat(size, [](size_t) { return Removed(kHash); }); }});
  kinds.push_back(
      {"removals of many that wait for one parent",
       [=](size_t size) {
         return std::vector<std::string>{
             repeat(size, [](size_t i) { return Stored({i + 1}, Hash(99'999'999), 1); })};
       },
       [=](size_t size) { return repeat(size, [](size_t i) { return Removed(i + 1); }); }});
  kinds.push_back(
      {"one block of a long event that waits, stored and removed in turn",
       [=](size_t size) {
         std::vector<uint64_t> hashes;
         for (size_t i = 0; i < size; ++i) hashes.push_back(i + 1);
         return std::vector<std::string>{
             BatchOf({Stored(hashes, Hash(99'999'999), 1), Stored({77'777'777}, Hash(size), 1)}),
             repeat(size, [](size_t i) { return Removed(i + 1); })};
       },
       [=](size_t size) {
         return repeat(size, [](size_t i) { return i % 2 == 0 ? Copy(1, "GPU") : Removed(1); });
       }});
  kinds.push_back({"one event that waits, again and again", nothing, [=](size_t size) {
                     return repeat(size, [](size_t) { return Stored({5, 6}, Hash(99), 1); });
                   }});
  kinds.push_back(
      {"the parent of an event of which many copies came",
       [=](size_t size) {
         return std::vector<std::string>{BatchOf({Stored({5}, Hash(99), 1)}),
                                         repeat(size, [](size_t) { return Copy(5, "CPU"); })};
       },
       [=](size_t size) {
         return repeat(size / 8, [](size_t i) { return Stored({99 + i * 1'000}, kNil, 1); });
       }});
  kinds.push_back({"one block under ever new hashes", nothing, [=](size_t size) {
                     return repeat(size, [](size_t i) { return Stored({i + 1}, kNil, 1); });
                   }});
  kinds.push_back({"one hash for ever new blocks", nothing, [=](size_t size) {
                     return repeat(size, [](size_t i) {
                       return Stored({kHash}, kNil, static_cast<uint32_t>(i));
                     });
                   }});
  kinds.push_back(
      {"copies in every tier",
       [=](size_t) { return std::vector<std::string>{BatchOf({Stored({1}, kNil, 1)})}; },
       [=](size_t size) {
         return repeat(size, [](size_t i) { return Copy(1, i % 2 == 0 ? "CPU" : "DISK"); });
       }});
  kinds.push_back({"removals of nothing", nothing, [=](size_t size) {
                     return repeat(size, [](size_t i) { return Removed(i + 1); });
                   }});
  kinds.push_back({"one long chain", nothing, [=](size_t size) {
                     std::vector<uint64_t> hashes;
                     for (size_t i = 0; i < 8 * size; ++i) hashes.push_back(i * kHash + 1);
                     return BatchOf({Stored(hashes, kNil, 1)});
                   }});
  // Another stream has stored each block of the chain in a run of its own.
  kinds.push_back(
      {"a chain of short runs, under hashes of its own",
       [=](size_t) { return std::vector<std::string>{BatchOf({Stored({1}, kNil, 9'999'999)})}; },
       [=](size_t size) {
         std::vector<uint64_t> hashes;
         for (size_t i = 0; i < size; ++i) hashes.push_back(i * kHash + 1);
         return BatchOf({Stored(hashes, kNil, 1)});
       },
       [=](size_t size) {
         std::vector<std::string> events;
         for (size_t i = 0; i < size; ++i) {
           const uint64_t hash = 1'000'000 + i;
           events.push_back(
               Stored({hash}, i == 0 ? kNil : Hash(hash - 1), 1 + static_cast<uint32_t>(i)));
           events.push_back(Copy(hash, "CPU"));
         }
         return std::vector<std::string>{BatchOf(events)};
       }});
  kinds.push_back({"extra keys", nothing, [=](size_t size) {
                     std::vector<std::string> items(std::min<size_t>(size, 4'000), Str(""));
                     return repeat(size / 1'000, [&](size_t i) {
                       return Stored({i + 1}, kNil, 1, Array({ArrayOf(items)}));
                     });
                   }});
  kinds.push_back({"clears", nothing, [=](size_t size) {
                     return repeat(size, [](size_t i) {
                       return i % 2 == 0 ? Stored({i + 1}, kNil, 1)
                                         : Array({Str("AllBlocksCleared")});
                     });
                   }});
  kinds.push_back({"what is no event", nothing, [=](size_t size) {
                     return repeat(
                         size, [](size_t i) { return i % 2 == 0 ? kNil : Array({Str("Future")}); });
                   }});
  return kinds;
}

TEST(IngestCostTest, EveryByteOfABatchCostsTheSame) {
  constexpr size_t kSmall = 4'000;
  constexpr size_t kTimes = 8;
  for (const Kind& kind : Kinds()) {
    double small = 1e9;
    double large = 1e9;
    for (int round = 0; round < 3; ++round) {  // what else runs only adds
      small = std::min(small, SecondsOf(kind, kSmall));
      large = std::min(large, SecondsOf(kind, kSmall * kTimes));
    }
    EXPECT_LT(large, 3 * kTimes * small + 0.02)
        << kind.name << ": " << small << " s, " << large << " s";
    RecordProperty(std::string(kind.name), std::to_string(large));
  }
}

// As it was reported: 20,000 events of one hash wait, then 400,000 removals of it come in one batch
// of 1.2 MB. It took 33 s.
TEST(IngestCostTest, TheRemovalsThatStoodForHalfAMinute) {
  PrefixIndex index({.max_streams = 4, .secret_seed = 11});
  IngestCounters counters;
  Stream stream(&index, &counters);
  Decoder decoder;
  DecodedBatch decoded;
  constexpr uint64_t kWaiting = 40'000;
  std::vector<std::string> waiting;
  for (uint64_t i = 0; i < 20'000; ++i) waiting.push_back(Stored({kWaiting, i + 1}, Hash(99), 1));
  const std::string first = BatchOf(waiting);
  const std::vector<std::string> hashes(400'000, Uint(kWaiting));
  const std::string second = BatchOf({Array({Str("BlockRemoved"), ArrayOf(hashes), Str("GPU")})});
  const double start = ThreadSeconds();
  ASSERT_EQ(decoder.Decode(first, &decoded), DecodeReason::kOk);
  stream.applier.Apply(decoded);
  ASSERT_EQ(decoder.Decode(second, &decoded), DecodeReason::kOk);
  stream.applier.Apply(decoded);
  EXPECT_LT(ThreadSeconds() - start, 3.0);
}

}  // namespace
}  // namespace kvroute
