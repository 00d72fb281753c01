// The system has less memory than the process may have: whatever is refused in the middle of a
// batch costs the stream its state, and nobody anything else. Each in a process of its own, with
// little address space.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "indexer/base/spare_memory.h"
#include "test/support/sanitized.h"
#include "test/support/stream_machine_fixture.h"
#include "test/support/wire_builder.h"

namespace kvroute {
namespace {

void LimitAddressSpace(uint64_t more) {
  std::ifstream in("/proc/self/statm");
  uint64_t pages = 0;
  in >> pages;
  const uint64_t bytes = pages * 4'096 + more;
  const rlimit limit{bytes, bytes};
  if (setrlimit(RLIMIT_AS, &limit) != 0) std::abort();
}

std::string ArrayOf(size_t count, const std::function<std::string(size_t)>& value) {
  std::string out = wire::Head(0xdd, count, 4);
  for (size_t i = 0; i < count; ++i) out += value(i);
  return out;
}
std::string Batch(size_t events, const std::function<std::string(size_t)>& event) {
  return wire::Array({wire::Double(1.0), ArrayOf(events, event), wire::Uint(0)});
}
std::string Stored(uint64_t hash, const std::string& parent) {
  return wire::Array({wire::Str("BlockStored"), wire::Array({wire::Head(0xcf, hash, 8)}), parent,
                      wire::Array({wire::Uint(hash & 0xffff'ffff)}), wire::Uint(1)});
}
std::string Copy(uint64_t hash, std::string_view medium) {
  return wire::Array({wire::Str("BlockStored"), wire::Array({wire::Head(0xcf, hash, 8)}),
                      wire::kNil, wire::Array({}), wire::Uint(1), wire::kNil, wire::Str(medium)});
}

// Feeds batches until the stream says that memory ran out, then goes on for a while.
[[noreturn]] void FeedUntilItIsSaid(const std::function<std::string(uint64_t)>& batch) {
  StreamScript script;
  script.options_.max_pending_memory_bytes = size_t{1} << 40;
  script.Machine().OnConnected();
  script.Reply(0);
  SpareMemory::SetAside();
  const std::string small = Batch(1, [](size_t) { return Stored(1, wire::kNil); });
  LimitAddressSpace(uint64_t{160} << 20);
  uint64_t seq = 0;
  const auto is_said = [&] {
    return script.status_.reason.load() == TrustReason::kMemoryLimit || SpareMemory::Uses() > 0;
  };
  for (; seq < 3'000 && !is_said(); ++seq) {
    try {
      const std::string payload = batch(seq);
      script.Machine().OnLiveBatch(seq, payload);
    } catch (const std::bad_alloc&) {  // in the test's own making of the batch
      break;
    }
  }
  for (int i = 0; i < 20; ++i, ++seq) script.Machine().OnLiveBatch(seq, small);
  std::fprintf(stderr, "said: %d, %s after %d batches\n", is_said(),
               std::string(TrustReasonName(script.status_.reason.load())).c_str(),
               static_cast<int>(seq));
  std::_Exit(is_said() ? 0 : 1);
}

TEST(OutOfMemoryTest, BlocksInEveryTier) {
  if (kSanitized) GTEST_SKIP() << "the sanitizers need address space themselves";
  EXPECT_EXIT(FeedUntilItIsSaid([](uint64_t batch) {
                return Batch(20'000, [&](size_t i) {
                  const uint64_t hash = (batch * 10'000 + i / 2 + 1) * 0x9e3779b97f4a7c15u;
                  return i % 2 == 0 ? Stored(hash, wire::kNil) : Copy(hash, "CPU");
                });
              }),
              testing::ExitedWithCode(0), "said: 1");
}

TEST(OutOfMemoryTest, EventsThatWait) {
  if (kSanitized) GTEST_SKIP() << "the sanitizers need address space themselves";
  EXPECT_EXIT(FeedUntilItIsSaid([](uint64_t batch) {
                return Batch(5'000, [&](size_t i) {
                  const uint64_t hash = batch * 10'000 + i + 1;
                  return Stored(hash, wire::Uint(1'000'000'000 + hash));
                });
              }),
              testing::ExitedWithCode(0), "said: 1");
}

TEST(OutOfMemoryTest, OneBatchThatDoesNotFit) {
  if (kSanitized) GTEST_SKIP() << "the sanitizers need address space themselves";
  // Decoded, 320 MB of hashes alone. Made before the address space is limited.
  const std::string hashes = ArrayOf(40'000'000, [](size_t) { return wire::Uint(1); });
  const std::string payload = Batch(1, [&](size_t) {
    return wire::Array({wire::Str("BlockRemoved"), hashes});
  });
  EXPECT_EXIT(FeedUntilItIsSaid([&](uint64_t) { return payload; }), testing::ExitedWithCode(0),
              "said: 1");
}

}  // namespace
}  // namespace kvroute
