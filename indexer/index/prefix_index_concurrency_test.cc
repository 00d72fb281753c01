#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "indexer/base/named_thread.h"
#include "indexer/index/prefix_index.h"
#include "test/support/reference_index.h"

namespace kvroute {
namespace {

// A chain all of whose blocks belong to one number, with the engine hashes of a hash scheme.
struct Chain {
  Chain(uint64_t number, size_t blocks, uint64_t scheme = 0) {
    for (size_t i = 0; i < blocks; ++i)
      locals.emplace_back((number << 32 | i) * 0x9e3779b97f4a7c15u);
    ChainLocals(locals, &prefixes);
    for (const PrefixHash prefix : prefixes) engines.emplace_back(prefix.value() ^ scheme);
  }
  StoreRequest Range(size_t begin, size_t end) const {
    StoreRequest request;
    if (begin > 0) request.parent = engines[begin - 1];
    request.engine_hashes = absl::MakeConstSpan(engines).subspan(begin, end - begin);
    request.local_hashes = absl::MakeConstSpan(locals).subspan(begin, end - begin);
    return request;
  }
  absl::Span<const EngineHash> Engines(size_t begin, size_t end) const {
    return absl::MakeConstSpan(engines).subspan(begin, end - begin);
  }
  std::vector<LocalHash> locals;
  std::vector<PrefixHash> prefixes;
  std::vector<EngineHash> engines;
};

uint32_t BlocksOf(const MatchResult& result, StreamId stream) {
  uint32_t blocks = 0;
  for (const StreamMatch& match : result.matches) {
    if (match.stream != stream) continue;
    EXPECT_EQ(blocks, 0u) << "a stream appears twice";
    blocks = match.blocks;
  }
  return blocks;
}

// Whether every writer has a hash scheme of its own, so that all but one know shared blocks by
// foreign hashes; or else only the last one.
class PrefixIndexSchemesTest : public testing::TestWithParam<bool> {
 protected:
  static uint64_t SchemeOf(int writer, int writers) {
    const bool own = GetParam() || writer == writers - 1;
    return own ? 0x5555u * static_cast<uint64_t>(writer + 1) : 0;
  }
};

INSTANTIATE_TEST_SUITE_P(OwnSchemes, PrefixIndexSchemesTest, testing::Bool());

// While every stream only grows along the chain, a later answer never has fewer blocks; while
// every stream only loses its tail, never more.
TEST_P(PrefixIndexSchemesTest, AnswersFollowGrowthAndEvictionInOrder) {
  constexpr size_t kBlocks = 2'000;
  constexpr int kWriters = 3;
  std::vector<Chain> chains;
  for (int w = 0; w < kWriters; ++w) chains.emplace_back(1, kBlocks, SchemeOf(w, kWriters));
  PrefixIndex index;
  std::vector<StreamId> streams;
  for (int i = 0; i < kWriters; ++i) streams.push_back(*index.Open(CopyMode::kSet));
  for (const bool grow : {true, false}) {
    std::atomic<int> writing{kWriters};
    std::vector<std::string> faults(2);
    {
      std::vector<NamedThread> threads;
      for (int w = 0; w < kWriters; ++w) {
        threads.emplace_back("writer", [&, w] {
          const Chain& chain = chains[w];
          std::mt19937 random(static_cast<uint32_t>(w));
          for (size_t at = 0; at < kBlocks;) {
            const size_t next = std::min(kBlocks, at + 1 + random() % 7);
            if (grow) {
              index.Store(streams[w], chain.Range(at, next));
            } else {
              std::vector<EngineHash> tail;
              for (size_t i = at; i < next; ++i) tail.push_back(chain.engines[kBlocks - 1 - i]);
              index.Remove(streams[w], tail, Tier::kGpu);
            }
            at = next;
          }
          --writing;
        });
      }
      for (std::string& fault : faults) {
        threads.emplace_back("reader", [&] {
          MatchResult result;
          std::vector<uint32_t> last(kWriters, grow ? 0 : kBlocks);
          while (writing > 0) {
            index.Match(chains[0].prefixes, &result);
            for (int w = 0; w < kWriters; ++w) {
              const uint32_t now = BlocksOf(result, streams[w]);
              if (grow ? now < last[w] : now > last[w]) {
                fault = std::to_string(last[w]) + " blocks became " + std::to_string(now);
              }
              last[w] = now;
            }
          }
        });
      }
    }
    for (const std::string& fault : faults) EXPECT_EQ(fault, "") << (grow ? "growing" : "evicting");
    MatchResult result;
    index.Match(chains[0].prefixes, &result);
    for (const StreamId stream : streams) EXPECT_EQ(BlocksOf(result, stream), grow ? kBlocks : 0);
  }
}

constexpr int kModelWriters = 4;
constexpr size_t kModelBlocks = 60;
using ChainsOf = std::vector<std::vector<Chain>>;  // by writer

// Streams come and go on shared and private chains while readers ask; every answer stays within
// what a chain allows, and when all is quiet the index equals the model, to which each stream's
// operations were applied in its own order.
void WriteAtRandomAndCompare(const ChainsOf& chains_of) {
  constexpr int kWriters = kModelWriters;
  constexpr int kOperations = 4'000;
  constexpr size_t kBlocks = kModelBlocks;
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  PrefixIndexOptions options;
  options.max_streams = 16;
  PrefixIndex index(options);
  ReferenceIndex model;
  std::vector<StreamId> streams;
  for (int w = 0; w < kWriters; ++w) {
    const CopyMode mode = w % 2 == 0 ? CopyMode::kCounted : CopyMode::kSet;
    streams.push_back(*index.Open(mode));
    model.Open(streams.back(), mode);
  }
  const auto operate = [&](auto& target, int w, auto before) {
    std::mt19937 random(seed + static_cast<uint32_t>(w));
    const std::vector<Chain>& chains = chains_of[w];
    for (int i = 0; i < kOperations; ++i) {
      before(i);
      const Chain& chain = chains[random() % chains.size()];
      const size_t begin = random() % 3 == 0 ? random() % kBlocks : 0;
      const size_t end = begin + 1 + random() % (kBlocks - begin);
      const uint32_t kind = random() % 100;
      const Tier tier = random() % 10 == 0 ? Tier::kCpu : Tier::kGpu;
      if (kind == 0) {
        target.Clear(streams[w]);
      } else if (kind < 45) {
        StoreRequest request = chain.Range(begin, end);
        request.tier = tier;
        target.Store(streams[w], request);
      } else if (kind < 50) {
        target.AddCopies(streams[w], chain.Engines(begin, end), tier);
      } else {
        target.Remove(streams[w], chain.Engines(begin, end), tier);
      }
    }
  };
  // Each is alone for most of one turn, so that the index notices, then all write at once.
  constexpr int kTurn = kOperations / kWriters;
  constexpr int kAlone = kTurn * 9 / 10;
  std::atomic<int> operations{0};
  const auto await_turn = [&operations](int w, int turn) {
    const int before = turn * kWriters * kTurn;
    const int least = turn % kWriters == w ? before : before + kAlone;
    while (operations.load() < least) std::this_thread::yield();
  };
  std::atomic<int> writing{kWriters};
  std::vector<std::string> faults(2);
  {
    std::vector<NamedThread> threads;
    for (int w = 0; w < kWriters; ++w) {
      threads.emplace_back("writer", [&, w] {
        operate(index, w, [&](int i) {
          if (i % kTurn == 0) await_turn(w, i / kTurn);
          ++operations;
        });
        --writing;
      });
    }
    for (std::string& fault : faults) {
      threads.emplace_back("reader", [&] {
        MatchResult result;
        for (size_t i = 0; writing > 0; ++i) {
          index.Match(chains_of[0][i % chains_of[0].size()].prefixes, &result);
          if (result.matches.size() > kWriters) fault = "more streams than there are";
          for (const StreamMatch& match : result.matches) {
            uint32_t sum = 0;
            for (const uint32_t blocks : match.blocks_by_tier) sum += blocks;
            if (match.blocks == 0 || match.blocks > kBlocks || sum != match.blocks) {
              fault = "an impossible match";
            }
          }
        }
      });
    }
  }
  for (const std::string& fault : faults) EXPECT_EQ(fault, "");
  for (int w = 0; w < kWriters; ++w) operate(model, w, [](int) {});
  index.WaitForScrub();
  MatchResult got, want;
  for (const Chain& chain : chains_of[0]) {
    index.Match(chain.prefixes, &got);
    model.Match(chain.prefixes, &want);
    EXPECT_EQ(DescribeMatches(got), DescribeMatches(want));
  }
  EXPECT_EQ(index.Stats().holdings, model.Stats().holdings);
  EXPECT_EQ(index.Stats().distinct_blocks, model.Stats().distinct_blocks);
}

TEST_P(PrefixIndexSchemesTest, RandomWritersEndWhereTheModelEnds) {
  ChainsOf chains_of(kModelWriters);
  for (int w = 0; w < kModelWriters; ++w) {
    for (uint64_t number = 0; number < 12; ++number) {
      chains_of[w].emplace_back(number, kModelBlocks, SchemeOf(w, kModelWriters));
    }
  }
  WriteAtRandomAndCompare(chains_of);
}

// Two writers have one engine hash for many blocks, and the same ones (0 among them); beside them
// one with a sound scheme, and one whose hashes are theirs by chance.
TEST(PrefixIndexConcurrencyTest, WritersWithTwinsEndWhereTheModelEnds) {
  ChainsOf chains_of(kModelWriters);
  for (int w = 0; w < kModelWriters; ++w) {
    for (uint64_t number = 0; number < 12; ++number) {
      Chain& chain = chains_of[w].emplace_back(number, kModelBlocks);
      for (size_t i = 0; i < kModelBlocks; ++i) {
        if (w < 2) chain.engines[i] = EngineHash(chain.prefixes[i].value() % 97);
        if (w == 2 && i % 5 == 0) chain.engines[i] = EngineHash(number * kModelBlocks + i);
      }
    }
  }
  WriteAtRandomAndCompare(chains_of);
}

// From the moment Clear returns, no answer that begins later has what was cleared; meanwhile the
// rest stays.
TEST(PrefixIndexConcurrencyTest, ClearIsSeenAtOnce) {
  const Chain chain(3, 200);
  PrefixIndex index;
  const StreamId stays = *index.Open(CopyMode::kSet);
  const StreamId cleared = *index.Open(CopyMode::kSet);
  index.Store(stays, chain.Range(0, 200));
  std::atomic<bool> stop{false};
  std::string fault;
  {
    NamedThread reader("reader", [&] {
      MatchResult result;
      while (!stop) {
        index.Match(chain.prefixes, &result);
        if (BlocksOf(result, stays) != 200) fault = "the other stream changed";
      }
    });
    MatchResult result;
    for (int round = 0; round < 300; ++round) {
      index.Store(cleared, chain.Range(0, 200));
      index.Match(chain.prefixes, &result);
      EXPECT_EQ(BlocksOf(result, cleared), 200u);
      EXPECT_EQ(index.Clear(cleared), 200u);
      index.Match(chain.prefixes, &result);
      EXPECT_EQ(BlocksOf(result, cleared), 0u);
    }
    stop = true;
  }
  EXPECT_EQ(fault, "");
}

}  // namespace
}  // namespace kvroute
