#include "indexer/index/prefix_hash.h"

#include <gtest/gtest.h>

#include <vector>

namespace kvroute {
namespace {

TEST(PrefixHashTest, MatchesTheFieldsPublishedValues) {
  const std::vector<TokenId> tokens = {1, 2, 3, 4, 5, 6, 7, 8};
  const NamespaceSeed seed = MakeNamespaceSeed("", "");
  const LocalHash first = HashBlock(absl::MakeSpan(tokens).subspan(0, 4), seed);
  const LocalHash second = HashBlock(absl::MakeSpan(tokens).subspan(4, 4), seed);
  EXPECT_EQ(first.value(), 14643705804678351452u);
  EXPECT_EQ(second.value(), 16777012769546811212u);
  EXPECT_EQ(RootPrefix(first).value(), first.value());
  EXPECT_EQ(ChainPrefix(RootPrefix(first), second).value(), 4945711292740353085u);

  std::vector<PrefixHash> prefixes;
  HashPrompt(tokens, 4, seed, &prefixes);
  ASSERT_EQ(prefixes.size(), 2u);
  EXPECT_EQ(prefixes[1].value(), 4945711292740353085u);
  std::vector<PrefixHash> chained;
  ChainLocals({first, second}, &chained);
  EXPECT_EQ(chained, prefixes);
}

TEST(PrefixHashTest, APartialLastBlockIsLeftOut) {
  std::vector<PrefixHash> prefixes;
  HashPrompt(std::vector<TokenId>{1, 2, 3, 4, 5}, 4, MakeNamespaceSeed("", ""), &prefixes);
  EXPECT_EQ(prefixes.size(), 1u);
}

TEST(PrefixHashTest, NamespacesSeparateEqualTokens) {
  const std::vector<TokenId> tokens(16, 7);
  const LocalHash base = HashBlock(tokens, MakeNamespaceSeed("", ""));
  const LocalHash lora = HashBlock(tokens, MakeNamespaceSeed("a", ""));
  const LocalHash salt = HashBlock(tokens, MakeNamespaceSeed("", "a"));
  EXPECT_NE(base, lora);
  EXPECT_NE(base, salt);
  EXPECT_NE(lora, salt);  // the same string as LoRA name and as salt must not collide
}

TEST(PrefixHashTest, MultimodalIdentityAndOffsetSeparateEqualPlaceholders) {
  const std::vector<TokenId> tokens(16, 7);
  const NamespaceSeed seed = MakeNamespaceSeed("", "");
  std::vector<uint64_t> cat, cat_shifted, dog;
  MixMultimodal("cat", 4, &cat);
  MixMultimodal("cat", -12, &cat_shifted);
  MixMultimodal("dog", 4, &dog);
  EXPECT_EQ(HashBlock(tokens, seed, {}), HashBlock(tokens, seed));
  EXPECT_NE(HashBlock(tokens, seed, cat), HashBlock(tokens, seed));
  EXPECT_NE(HashBlock(tokens, seed, cat), HashBlock(tokens, seed, cat_shifted));
  EXPECT_NE(HashBlock(tokens, seed, cat), HashBlock(tokens, seed, dog));
}

TEST(HashPromptTest, BigramBlocksCoverTheTokenThatFollows) {
  const std::vector<TokenId> tokens = {1, 2, 3, 4, 5, 6, 7, 8};
  std::vector<PrefixHash> prefixes;
  HashPrompt(tokens, 4, MakeNamespaceSeed("", ""), &prefixes, /*bigram=*/true);
  ASSERT_EQ(prefixes.size(), 1u);  // the second block would need a ninth token
  EXPECT_EQ(prefixes[0], RootPrefix(HashBlock({1, 2, 3, 4, 5}, MakeNamespaceSeed("", ""))));
  EXPECT_EQ(FullBlocks(0, 4, true), 0u);
  EXPECT_EQ(FullBlocks(9, 4, true), 2u);
}

TEST(PromptChainTest, GivesTheSameHashesHoweverFarItIsAsked) {
  const NamespaceSeed seed = MakeNamespaceSeed("lora", "");
  std::vector<TokenId> tokens(103);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<TokenId>(i * i);
  for (const bool bigram : {false, true}) {
    std::vector<PrefixHash> whole;
    HashPrompt(tokens, 4, seed, &whole, bigram);
    std::vector<LocalHash> locals;
    for (size_t i = 0; i < whole.size(); ++i) {
      locals.push_back(HashBlock(BlockWindow(tokens, 4, i, bigram), seed));
    }
    std::vector<PrefixHash> memory = {PrefixHash(99)};  // of another prompt
    std::vector<PrefixHash> local_memory;
    PromptChain given(whole);
    PromptChain hashed(tokens, 4, seed, &memory, bigram);
    PromptChain chained(locals, &local_memory);
    for (PromptChain* chain : {&given, &hashed, &chained}) {
      ASSERT_EQ(chain->size(), whole.size());
      for (const size_t blocks : {size_t{1}, size_t{3}, size_t{2}, size_t{17}, whole.size()}) {
        const PrefixHash* hashes = chain->First(blocks);
        EXPECT_EQ(
            std::vector<PrefixHash>(hashes, hashes + blocks),
            std::vector<PrefixHash>(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(blocks)));
        EXPECT_EQ(chain->complete(), chain == &given || blocks == whole.size());
      }
    }
  }
}

}  // namespace
}  // namespace kvroute
