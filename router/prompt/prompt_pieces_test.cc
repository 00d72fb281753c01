#include "router/prompt/prompt_pieces.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace kvroute {
namespace {

std::vector<TokenId> Tokens(size_t count, TokenId first = 1) {
  std::vector<TokenId> tokens(count);
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

PromptPieces Cut(const std::vector<TokenId>& tokens, const PromptNamespace& names = {},
                 const std::vector<PromptInput>& inputs = {}) {
  PromptView prompt;
  prompt.token_ids = tokens;
  PromptPieces pieces;
  CutPrompt(prompt, names, inputs, &pieces);
  EXPECT_EQ(pieces.hashes.size(), pieces.ends.size());
  return pieces;
}

PromptPieces CutBlocks(BlockHashKind kind, const std::vector<uint64_t>& hashes,
                       uint32_t block_size) {
  PromptView prompt;
  prompt.block_hashes = BlockHashesView{kind, hashes, block_size};
  PromptPieces pieces;
  CutPrompt(prompt, {}, {}, &pieces);
  return pieces;
}

// How many leading pieces are equal.
size_t Shared(const PromptPieces& a, const PromptPieces& b) {
  return static_cast<size_t>(
      std::mismatch(a.hashes.begin(), a.hashes.end(), b.hashes.begin(), b.hashes.end()).first -
      a.hashes.begin());
}

TEST(PromptPiecesTest, PiecesGrowWithWhatIsBeforeThem) {
  EXPECT_EQ(Cut(Tokens(255)).size(), 0u);
  EXPECT_EQ(Cut(Tokens(2'303)).ends,
            (std::vector<uint32_t>{256, 512, 768, 1'024, 1'280, 1'536, 1'792, 2'048}));
  EXPECT_EQ(Cut(Tokens(4'608)).ends.back(), 4'608u);
  EXPECT_EQ(Cut(Tokens(4'607)).ends.back(), 4'096u);
  EXPECT_EQ(Cut(Tokens(128 * 1024)).size(), 56u) << "as the header says";
}

TEST(PromptPiecesTest, PromptsShareThePiecesBeforeTheyPart) {
  std::vector<TokenId> other = Tokens(4'096);
  const PromptPieces one = Cut(other);
  EXPECT_EQ(Shared(one, Cut(Tokens(1'000))), 3u);
  other[1'024] = 0;
  EXPECT_EQ(Shared(one, Cut(other)), 4u);
  other[1'023] = 0;
  EXPECT_EQ(Shared(one, Cut(other)), 3u);
  EXPECT_EQ(Shared(one, Cut(Tokens(4'096, 2))), 0u);
}

TEST(PromptPiecesTest, NamespacesAndInputsArePartOfThem) {
  const PromptPieces plain = Cut(Tokens(1'024));
  EXPECT_EQ(Shared(plain, Cut(Tokens(1'024), {.lora_name = "a", .cache_salt = ""})), 0u);
  EXPECT_EQ(Shared(plain, Cut(Tokens(1'024), {.lora_name = "", .cache_salt = "a"})), 0u);
  const PromptPieces cat = Cut(Tokens(1'024), {}, {{1, 300, 400}});
  EXPECT_EQ(Shared(plain, cat), 1u);
  EXPECT_EQ(Shared(cat, Cut(Tokens(1'024), {}, {{2, 300, 400}})), 1u) << "another image";
  EXPECT_EQ(Shared(cat, Cut(Tokens(1'024), {}, {{1, 301, 401}})), 1u) << "elsewhere";
  EXPECT_EQ(Shared(cat, Cut(Tokens(1'024), {}, {{1, 300, 400}})), 4u);
}

TEST(PromptPiecesTest, HashesAreCutAtTheirBlocks) {
  const std::vector<uint64_t> hashes = {1, 2, 3, 4, 5, 6, 7, 8};
  for (const BlockHashKind kind : {BlockHashKind::kLocal, BlockHashKind::kPrefix}) {
    EXPECT_EQ(CutBlocks(kind, hashes, 64).ends, (std::vector<uint32_t>{256, 512}));
    EXPECT_EQ(CutBlocks(kind, hashes, 1'000).ends.size(), 8u) << "no piece is less than a block";
    EXPECT_EQ(CutBlocks(kind, hashes, 16).ends.size(), 0u);
    std::vector<uint64_t> other = hashes;
    other[7] = 0;
    EXPECT_EQ(Shared(CutBlocks(kind, hashes, 64), CutBlocks(kind, other, 64)), 1u);
    EXPECT_EQ(Shared(CutBlocks(kind, hashes, 64), CutBlocks(kind, hashes, 128)), 0u);
  }
  EXPECT_EQ(Shared(CutBlocks(BlockHashKind::kLocal, hashes, 64),
                   CutBlocks(BlockHashKind::kPrefix, hashes, 64)),
            0u);
}

}  // namespace
}  // namespace kvroute
