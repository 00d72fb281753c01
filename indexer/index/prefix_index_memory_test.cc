#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <optional>
#include <vector>

#include "indexer/index/prefix_index.h"

namespace {
std::atomic<uint64_t> allocations{0};
}  // namespace

// Counts what this binary allocates.
[[gnu::noinline]] void* operator new(size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes)) return memory;
  std::abort();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace kvroute {
namespace {

class PrefixIndexMemoryTest : public ::testing::Test {
 protected:
  static constexpr size_t kBlocks = 96;

  // Fills `chain` with blocks that no other number has.
  void Make(uint64_t number) {
    locals_.clear();
    engines_.clear();
    prefixes_.clear();
    for (size_t i = 0; i < kBlocks; ++i) {
      locals_.emplace_back((number << 16 | i) * 0x9e3779b97f4a7c15u);
      engines_.emplace_back((number << 16 | i) * 0xc2b2ae3d27d4eb4fu);
    }
    ChainLocals(locals_, &prefixes_);
  }
  void Store(StreamId stream) {
    StoreRequest request;
    request.engine_hashes = engines_;
    request.local_hashes = locals_;
    index_.Store(stream, request);
  }
  // The engine hashes of the same blocks in another hash scheme.
  void HashAnew() {
    for (EngineHash& engine : engines_) engine = EngineHash(engine.value() ^ 0xffff);
  }
  // Stores prompt after prompt and evicts the oldest, as an engine with a full pool does.
  void Churn(uint64_t from, uint64_t to, uint64_t kept) {
    for (uint64_t number = from; number < to; ++number) {
      Make(number);
      Store(stream_);
      if (further_.has_value()) {
        HashAnew();
        Store(*further_);
      }
      index_.Match(prefixes_, &result_);
      if (number < kept) continue;
      Make(number - kept);
      index_.Remove(stream_, engines_, Tier::kGpu);
      if (!further_.has_value()) continue;
      HashAnew();
      index_.Remove(*further_, engines_, Tier::kGpu);
    }
  }

  PrefixIndex index_;
  const StreamId stream_ = *index_.Open(CopyMode::kSet);
  std::optional<StreamId> further_;  // holds the same blocks under hashes of its own
  std::vector<LocalHash> locals_;
  std::vector<EngineHash> engines_;
  std::vector<PrefixHash> prefixes_;
  MatchResult result_;
};

TEST_F(PrefixIndexMemoryTest, ChurnDoesNotGrow) {
  constexpr uint64_t kKept = 2'000;
  Churn(0, 3 * kKept, kKept);
  const uint64_t settled = index_.Stats().bytes;
  const uint64_t holdings = index_.Stats().holdings;
  Churn(3 * kKept, 13 * kKept, kKept);
  EXPECT_EQ(index_.Stats().holdings, holdings);
  EXPECT_LE(index_.Stats().bytes, settled + settled / 50);
  EXPECT_LE(static_cast<double>(index_.Stats().bytes) / static_cast<double>(holdings), 45.0);
}

TEST_F(PrefixIndexMemoryTest, SteadyStateAllocatesNothing) {
  constexpr uint64_t kKept = 200;
  Churn(0, 20 * kKept, kKept);
  const uint64_t before = allocations.load();
  Churn(20 * kKept, 40 * kKept, kKept);
  EXPECT_EQ(allocations.load(), before);
}

TEST_F(PrefixIndexMemoryTest, AFurtherHolderWithHashesOfItsOwn) {
  constexpr uint64_t kKept = 1'000;
  Churn(0, 5 * kKept, kKept);
  index_.Clear(stream_);
  index_.WaitForScrub();
  const uint64_t alone = index_.Stats().bytes;
  further_ = *index_.Open(CopyMode::kSet);
  Churn(10 * kKept, 15 * kKept, kKept);
  const uint64_t both = index_.Stats().bytes;
  EXPECT_EQ(index_.Stats().holdings, 2 * kKept * kBlocks);
  // Tables this small leave more behind when they grow than those of a real fleet: 21 bytes there.
  EXPECT_LE(static_cast<double>(both - alone) / static_cast<double>(kKept * kBlocks), 30.0);
  const uint64_t allocated = allocations.load();
  Churn(15 * kKept, 20 * kKept, kKept);
  EXPECT_EQ(allocations.load(), allocated);
  EXPECT_LE(index_.Stats().bytes, both + both / 50);
  // Its clearing gives all of it back to whoever comes next.
  index_.Clear(*further_);
  index_.WaitForScrub();
  Churn(20 * kKept, 25 * kKept, kKept);
  EXPECT_LE(index_.Stats().bytes, both + both / 8);
}

}  // namespace
}  // namespace kvroute
