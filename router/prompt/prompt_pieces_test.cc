#include "router/prompt/prompt_pieces.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace kvroute {
namespace {

std::vector<TokenId> SomeTokens(size_t count, TokenId first = 1) {
  std::vector<TokenId> tokens(count);
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

PromptPieces Cut(const std::vector<TokenId>& tokens, uint32_t block_size = 16,
                 std::string_view salt = "") {
  std::vector<LocalHash> memory;
  PromptChain chain(PromptBlocks(tokens, block_size, MakeNamespaceSeed("", salt)), &memory);
  PromptPieces pieces;
  CutPrompt(&chain, block_size, &pieces);
  EXPECT_EQ(pieces.hashes.size(), pieces.ends.size());
  return pieces;
}

template <typename Hash>
PromptPieces CutHashes(const std::vector<Hash>& hashes, uint32_t block_size) {
  PromptChain chain{absl::MakeConstSpan(hashes)};
  PromptPieces pieces;
  CutPrompt(&chain, block_size, &pieces);
  return pieces;
}

// How many leading pieces are equal.
size_t Shared(const PromptPieces& a, const PromptPieces& b) {
  const auto parts =
      std::mismatch(a.hashes.begin(), a.hashes.end(), b.hashes.begin(), b.hashes.end());
  return static_cast<size_t>(parts.first - a.hashes.begin());
}

TEST(PromptPiecesTest, PiecesGrowWithWhatIsBeforeThem) {
  EXPECT_EQ(Cut(SomeTokens(255)).size(), 0u);
  EXPECT_EQ(Cut(SomeTokens(3'000)).ends,
            (std::vector<uint32_t>{256, 512, 768, 1'024, 1'280, 1'536, 1'792, 2'048, 2'560}));
  EXPECT_EQ(Cut(SomeTokens(128 * 1024)).size(), 32u) << "as the header says";
  EXPECT_EQ(Cut(SomeTokens(1'536), 512).ends, (std::vector<uint32_t>{512, 1'024, 1'536}));
}

TEST(PromptPiecesTest, PromptsShareThePiecesBeforeTheyPart) {
  std::vector<TokenId> other = SomeTokens(4'096);
  const PromptPieces one = Cut(other);
  EXPECT_EQ(Shared(one, Cut(SomeTokens(1'000))), 3u);
  other[1'024] = 0;
  EXPECT_EQ(Shared(one, Cut(other)), 4u);
  other[1'023] = 0;
  EXPECT_EQ(Shared(one, Cut(other)), 3u);
  EXPECT_EQ(Shared(one, Cut(SomeTokens(4'096, 2))), 0u);
  EXPECT_EQ(Shared(one, Cut(SomeTokens(4'096), 16, "salt")), 0u);
  EXPECT_EQ(Shared(one, Cut(SomeTokens(4'096), 32)), 0u) << "another block size";
}

TEST(PromptPiecesTest, HashesAreCutAsTokensAre) {
  std::vector<LocalHash> locals(64);
  HashBlocks(SomeTokens(1'024), 16, 0, MakeNamespaceSeed("", ""), 0, absl::MakeSpan(locals));
  EXPECT_EQ(Shared(Cut(SomeTokens(1'024)), CutHashes(locals, 16)), 4u);
  std::vector<PrefixHash> prefixes;
  ChainLocals(locals, &prefixes);
  const PromptPieces chained = CutHashes(prefixes, 16);
  EXPECT_EQ(chained.ends, (std::vector<uint32_t>{256, 512, 768, 1'024}));
  EXPECT_EQ(Shared(chained, CutHashes(locals, 16)), 0u);
  prefixes[63] = PrefixHash(0);
  EXPECT_EQ(Shared(chained, CutHashes(prefixes, 16)), 3u);
}

}  // namespace
}  // namespace kvroute
