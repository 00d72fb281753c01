#include "router/prompt/prompt_parser.h"

#include <gtest/gtest.h>

#include <vector>

#include "indexer/base/limits.h"
#include "test/support/kept_prompts.h"

namespace kvroute {
namespace {

// From the hash definition of the API: blocks 1,2,3,4 and 5,6,7,8 of block size 4, and the chain of
// the two.
constexpr uint64_t kLocal0 = 14643705804678351452u;
constexpr uint64_t kLocal1 = 16777012769546811212u;
constexpr uint64_t kPrefix1 = 4945711292740353085u;

std::vector<uint64_t> PrefixesOf(ParsedPrompt& parsed, size_t profile = 0) {
  PromptChain& chain = parsed.hashes[profile].chain;
  std::vector<PrefixHash> hashes(chain.prefixes().begin(), chain.prefixes().end());
  if (!chain.by_prefixes()) ChainLocals({chain.Locals(chain.size()), chain.size()}, &hashes);
  std::vector<uint64_t> values;
  for (const PrefixHash hash : hashes) values.push_back(hash.value());
  return values;
}

TEST(PromptParserTest, TokensAreHashedByTheDefinition) {
  ParsedPrompt parsed;
  ASSERT_TRUE(ParseKept(OfTokens(11), {}, {kBy4}, &parsed).ok());
  EXPECT_EQ(PrefixesOf(parsed), (std::vector<uint64_t>{kLocal0, kPrefix1}));
  EXPECT_EQ(parsed.prompt_tokens, 11u);
  EXPECT_EQ(parsed.TotalBlocks(kBy4), 2u);

  std::vector<LocalHash> locals;
  LocalHashesOf(OfTokens(11).View(), {}, kBy4, 64, &locals);
  EXPECT_EQ(locals, (std::vector<LocalHash>{LocalHash(kLocal0), LocalHash(kLocal1)}));
}

TEST(PromptParserTest, AllThreeFormsOfAPromptAreTheSame) {
  ParsedPrompt tokens, locals, prefixes;
  ASSERT_TRUE(ParseKept(OfTokens(8), {}, {kBy4}, &tokens).ok());
  ASSERT_TRUE(
      ParseKept(OfHashes(BlockHashKind::kLocal, {kLocal0, kLocal1}), {}, {kBy4}, &locals).ok());
  ASSERT_TRUE(
      ParseKept(OfHashes(BlockHashKind::kPrefix, {kLocal0, kPrefix1}), {}, {kBy4}, &prefixes).ok());
  EXPECT_EQ(PrefixesOf(tokens), PrefixesOf(locals));
  EXPECT_EQ(PrefixesOf(tokens), PrefixesOf(prefixes));
  EXPECT_EQ(locals.prompt_tokens, 8u);
}

TEST(PromptParserTest, LocalHashesAreToldUnlessTheRequestBroughtPrefixHashes) {
  std::vector<LocalHash> locals;
  LocalHashesOf(OfHashes(BlockHashKind::kPrefix, {kLocal0, kPrefix1}).View(), {}, kBy4, 64,
                &locals);
  EXPECT_TRUE(locals.empty());
  LocalHashesOf(OfHashes(BlockHashKind::kLocal, {kLocal0, kLocal1}).View(), {}, kBy4, 1, &locals);
  EXPECT_EQ(locals, (std::vector<LocalHash>{LocalHash(kLocal0)})) << "no more than asked for";
}

TEST(PromptParserTest, TheNamespaceSeparatesEqualTokens) {
  ParsedPrompt plain, lora, salted;
  ASSERT_TRUE(ParseKept(OfTokens(8), {}, {kBy4}, &plain).ok());
  ASSERT_TRUE(ParseKept(OfTokens(8), {"adapter", ""}, {kBy4}, &lora).ok());
  ASSERT_TRUE(ParseKept(OfTokens(8), {"", "salt"}, {kBy4}, &salted).ok());
  EXPECT_NE(PrefixesOf(plain), PrefixesOf(lora));
  EXPECT_NE(PrefixesOf(plain), PrefixesOf(salted));
  EXPECT_NE(PrefixesOf(lora), PrefixesOf(salted));
}

TEST(PromptParserTest, EachProfileHasItsOwnHashes) {
  ParsedPrompt parsed;
  ASSERT_TRUE(
      ParseKept(OfTokens(9), {}, {kBy4, HashProfile{2, 0}, HashProfile{4, 1}}, &parsed).ok());
  ASSERT_EQ(parsed.profile_count, 3u);
  EXPECT_EQ(PrefixesOf(parsed, 0).size(), 2u);
  EXPECT_EQ(PrefixesOf(parsed, 1).size(), 4u);
  // Hashed over its tokens and the one that follows: 9 tokens have 2 blocks, 8 have 1.
  EXPECT_EQ(PrefixesOf(parsed, 2).size(), 2u);
  const std::vector<TokenId> five = {1, 2, 3, 4, 5};
  EXPECT_EQ(PrefixesOf(parsed, 2)[0], HashBlock(five, MakeNamespaceSeed("", "")).value());
  ASSERT_TRUE(ParseKept(OfTokens(8), {}, {HashProfile{4, 1}}, &parsed).ok());
  EXPECT_EQ(PrefixesOf(parsed).size(), 1u);
}

TEST(PromptParserTest, MultimodalInputsMixIntoTheBlocksTheyOverlap) {
  Prompt prompt = OfTokens(20);  // blocks 0-3, 4-7, 8-11, 12-15, 16-19
  prompt.multimodal = {
      {"image-a", 5, 6},   // blocks 1 (at +1) and 2 (at -3)
      {"image-b", 11, 1},  // block 2 (at +3)
      {"image-c", 16, 4},  // block 4 (at 0)
  };
  std::vector<LocalHash> mixed, plain;
  LocalHashesOf(prompt.View(), {}, kBy4, 64, &mixed);
  LocalHashesOf(OfTokens(20).View(), {}, kBy4, 64, &plain);
  ASSERT_EQ(mixed.size(), 5u);
  ParsedPrompt parsed;
  ASSERT_TRUE(ParsePrompt(prompt.View(), {}, {kBy4}, &parsed).ok());
  EXPECT_TRUE(std::equal(mixed.begin(), mixed.end(), parsed.hashes[0].chain.Locals(5)));
  const auto expected = [&](size_t block,
                            const std::vector<std::pair<const char*, int64_t>>& inputs) {
    std::vector<uint64_t> mix;
    for (const auto& [id, offset] : inputs) MixMultimodal(id, offset, &mix);
    const auto begin = static_cast<TokenId>(block * 4 + 1);
    const std::vector<TokenId> tokens = {begin, begin + 1, begin + 2, begin + 3};
    return HashBlock(tokens, MakeNamespaceSeed("", ""), mix);
  };
  EXPECT_EQ(mixed[0], plain[0]);
  EXPECT_EQ(mixed[1], expected(1, {{"image-a", 1}}));
  EXPECT_EQ(mixed[2], expected(2, {{"image-a", -3}, {"image-b", 3}}));
  EXPECT_EQ(mixed[3], plain[3]);
  EXPECT_EQ(mixed[4], expected(4, {{"image-c", 0}}));
}

TEST(PromptParserTest, NothingIsHashedBeforeItIsAskedFor) {
  Prompt with_image = OfTokens(8);
  with_image.multimodal = {{"image", 0, 8}};
  for (const Prompt& prompt : {OfTokens(8), with_image, OfHashes(BlockHashKind::kLocal, {1, 2}),
                               OfHashes(BlockHashKind::kPrefix, {1, 2})}) {
    ParsedPrompt parsed;
    ASSERT_TRUE(ParseKept(prompt, {}, {kBy4}, &parsed).ok());
    ParsedPrompt::Hashes& hashes = parsed.hashes[0];
    EXPECT_EQ(hashes.chain.size(), 2u);
    EXPECT_EQ(hashes.memory.size(), 0u);
    if (!hashes.chain.by_prefixes()) hashes.chain.Locals(1);
    EXPECT_EQ(hashes.memory.size(), prompt.block_hashes ? 0u : 1u);  // hashes are taken
  }
}

TEST(PromptParserTest, HashesOfAnotherBlockSizeAreNotComparable) {
  ParsedPrompt parsed;
  ASSERT_TRUE(
      ParseKept(OfHashes(BlockHashKind::kLocal, {1, 2}, 8), {}, {kBy4, HashProfile{8, 0}}, &parsed)
          .ok());
  EXPECT_EQ(parsed.hashes[0].incomparable, Incomparable::kBlockSize);
  EXPECT_TRUE(parsed.hashes[1].comparable());
  EXPECT_EQ(PrefixesOf(parsed, 0).size(), 0u);
  EXPECT_EQ(PrefixesOf(parsed, 1).size(), 2u);
}

TEST(PromptParserTest, HashesOfAnotherLookaheadAreNotComparable) {
  Prompt prompt = OfHashes(BlockHashKind::kLocal, {1, 2});
  ParsedPrompt parsed;
  ASSERT_TRUE(ParseKept(prompt, {}, {kBy4, HashProfile{4, 1}}, &parsed).ok());
  EXPECT_TRUE(parsed.hashes[0].comparable());
  EXPECT_EQ(parsed.hashes[1].incomparable, Incomparable::kLookahead);
  EXPECT_EQ(PrefixesOf(parsed, 1).size(), 0u);
  prompt.block_hashes->lookahead_tokens = 1;
  ASSERT_TRUE(ParseKept(prompt, {}, {kBy4, HashProfile{4, 1}}, &parsed).ok());
  EXPECT_EQ(parsed.hashes[0].incomparable, Incomparable::kLookahead);
  EXPECT_EQ(PrefixesOf(parsed, 1).size(), 2u);
}

// The limit of a prompt is of its tokens; one of blocks says only with whom it is not compared.
TEST(PromptParserTest, APromptIsNotComparedWhereItHasTooManyBlocks) {
  ParsedPrompt parsed;
  ASSERT_TRUE(ParseKept(OfTokens(limits::kMaxPromptBlocks + 1), {},
                        {HashProfile{1, 0}, kBy4, HashProfile{1, 1}}, &parsed)
                  .ok());
  EXPECT_EQ(parsed.hashes[0].incomparable, Incomparable::kPromptBlocks);
  EXPECT_EQ(PrefixesOf(parsed, 0).size(), 0u);
  EXPECT_TRUE(parsed.hashes[1].comparable());
  EXPECT_TRUE(parsed.hashes[2].comparable()) << "one block less, and so as many as may be";
  ASSERT_TRUE(ParseKept(OfTokens(limits::kMaxPromptBlocks), {}, {HashProfile{1, 0}}, &parsed).ok());
  EXPECT_TRUE(parsed.hashes[0].comparable());
}

TEST(PromptParserTest, AnInputThatBeginsBehindABlockIsInThoseThatAreHashedWithIt) {
  Prompt prompt = OfTokens(9);
  prompt.multimodal = {{"image", 4, 4}};
  const auto locals = [](const Prompt& of, HashProfile profile) {
    std::vector<LocalHash> hashes;
    LocalHashesOf(of.View(), {}, profile, 64, &hashes);
    return hashes;
  };
  EXPECT_EQ(locals(prompt, kBy4)[0], locals(OfTokens(9), kBy4)[0]);
  const std::vector<LocalHash> ahead = locals(prompt, HashProfile{4, 1});
  std::vector<uint64_t> mix;
  MixMultimodal("image", 4, &mix);
  EXPECT_EQ(ahead[0], HashBlock({1, 2, 3, 4, 5}, MakeNamespaceSeed("", ""), mix));
}

TEST(PromptParserTest, HashesMayCoverOnlyThePrefixOfAPrompt) {
  Prompt prompt = OfHashes(BlockHashKind::kLocal, {1, 2});
  prompt.block_hashes->prompt_tokens = 100;
  ParsedPrompt parsed;
  ASSERT_TRUE(ParseKept(prompt, {}, {kBy4}, &parsed).ok());
  EXPECT_EQ(parsed.prompt_tokens, 100u);
  EXPECT_EQ(parsed.TotalBlocks(kBy4), 25u);
}

TEST(PromptParserTest, BeforeAnyBlockSizeIsKnownEveryPromptIsAccepted) {
  ParsedPrompt parsed;
  EXPECT_TRUE(ParseKept(OfTokens(9), {}, {}, &parsed).ok());
  ASSERT_TRUE(ParseKept(OfHashes(BlockHashKind::kLocal, {1, 2}), {}, {}, &parsed).ok());
  EXPECT_EQ(parsed.profile_count, 0u);
  EXPECT_EQ(parsed.prompt_tokens, 8u);
  EXPECT_EQ(parsed.TotalBlocks(HashProfile{}), 2u);
}

TEST(PromptParserTest, NothingOfThePromptBeforeIsLeft) {
  ParsedPrompt parsed;
  ASSERT_TRUE(
      ParseKept(OfHashes(BlockHashKind::kLocal, {1, 2}, 8), {}, {HashProfile{8, 0}}, &parsed).ok());
  ASSERT_TRUE(ParseKept(OfTokens(9), {}, {kBy4}, &parsed).ok());
  EXPECT_EQ(parsed.profile_count, 1u);
  EXPECT_EQ(PrefixesOf(parsed), (std::vector<uint64_t>{kLocal0, kPrefix1}));
  EXPECT_EQ(parsed.TotalBlocks(HashProfile{}), 0u) << "a request of tokens has no block size";
}

TEST(PromptParserTest, MemoryOfAnUnusuallyLongPromptIsGivenBack) {
  ParsedPrompt parsed;
  ASSERT_TRUE(ParseKept(OfTokens(4 * (ParsedPrompt::kKeptBlocks + 8)), {}, {kBy4}, &parsed).ok());
  EXPECT_EQ(PrefixesOf(parsed).size(), ParsedPrompt::kKeptBlocks + 8);
  EXPECT_GT(parsed.hashes[0].memory.capacity(), ParsedPrompt::kKeptBlocks);
  ASSERT_TRUE(ParseKept(OfTokens(400), {}, {kBy4}, &parsed).ok());
  EXPECT_LE(parsed.hashes[0].memory.capacity(), ParsedPrompt::kKeptBlocks);
}

}  // namespace
}  // namespace kvroute
