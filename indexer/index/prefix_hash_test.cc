#include "indexer/index/prefix_hash.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
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

TEST(HashPromptTest, BlocksCoverTheTokensAhead) {
  const std::vector<TokenId> tokens = {1, 2, 3, 4, 5, 6, 7, 8};
  std::vector<PrefixHash> prefixes;
  HashPrompt(tokens, 4, MakeNamespaceSeed("", ""), &prefixes, /*lookahead_tokens=*/1);
  ASSERT_EQ(prefixes.size(), 1u);  // the second block would need a ninth token
  EXPECT_EQ(prefixes[0], RootPrefix(HashBlock({1, 2, 3, 4, 5}, MakeNamespaceSeed("", ""))));
  HashPrompt(tokens, 2, MakeNamespaceSeed("", ""), &prefixes, /*lookahead_tokens=*/3);
  ASSERT_EQ(prefixes.size(), 3u);
  EXPECT_EQ(prefixes[1], RootPrefix(HashBlock({1, 2, 3, 4, 5}, MakeNamespaceSeed("", ""))));
  EXPECT_EQ(FullBlocks(0, 4, 1), 0u);
  EXPECT_EQ(FullBlocks(9, 4, 1), 2u);
  EXPECT_EQ(FullBlocks(2, 4, 3), 0u);
  EXPECT_EQ(FullBlocks(7, 4, 3), 1u);
}

// What the chain of a prompt must be, computed block by block from the definition.
std::vector<PrefixHash> ByDefinition(const std::vector<LocalHash>& locals) {
  std::vector<PrefixHash> prefixes;
  for (const LocalHash local : locals) {
    prefixes.push_back(prefixes.empty() ? RootPrefix(local) : ChainPrefix(prefixes.back(), local));
  }
  return prefixes;
}

struct RandomPrompt {
  explicit RandomPrompt(uint32_t number) : random(number) {
    tokens.resize(Below(300));
    for (TokenId& token : tokens) token = static_cast<TokenId>(random());
    block_size = 1 + Below(20);
    lookahead = Below(2) == 0 ? 0 : Below(4);
    for (uint64_t at = Below(30); Below(6) != 0;) {
      const uint64_t length = 1 + Below(60);
      if (at + length > tokens.size()) break;
      identifiers.push_back("input-" + std::to_string(Below(4)));
      inputs.push_back({HashIdentifier(identifiers.back()), at, at + length});
      at += length + Below(3) * Below(30);
    }
  }
  uint32_t Below(uint32_t end) { return static_cast<uint32_t>(random() % end); }
  std::vector<LocalHash> Locals() const {
    std::vector<LocalHash> locals;
    for (size_t i = 0; i < FullBlocks(tokens.size(), block_size, lookahead); ++i) {
      const auto begin = static_cast<int64_t>(i * block_size);
      const int64_t end = begin + block_size + lookahead;
      std::vector<uint64_t> mix;
      for (size_t k = 0; k < inputs.size(); ++k) {
        const auto from = static_cast<int64_t>(inputs[k].begin_tokens);
        const auto to = static_cast<int64_t>(inputs[k].end_tokens);
        if (from < end && to > begin) MixMultimodal(identifiers[k], from - begin, &mix);
      }
      locals.push_back(HashBlock(TokensOfBlock(tokens, block_size, i, lookahead), seed, mix));
    }
    return locals;
  }

  std::mt19937 random;
  std::vector<TokenId> tokens;
  uint32_t block_size = 0;
  uint32_t lookahead = 0;
  std::vector<std::string> identifiers;
  std::vector<PromptInput> inputs;
  NamespaceSeed seed = MakeNamespaceSeed("lora", "");
};

// Asked for more and more of it, and for less in between.
void ExpectGives(const std::vector<LocalHash>& expected, RandomPrompt* prompt, PromptChain* chain) {
  ASSERT_EQ(chain->size(), expected.size());
  EXPECT_FALSE(chain->by_prefixes());
  EXPECT_TRUE(chain->prefixes().empty());
  for (size_t asked = 0; asked < expected.size();) {
    asked = std::min<size_t>(expected.size(), asked + 1 + prompt->Below(20));
    for (const size_t blocks : {asked, (asked + 1) / 2}) {
      const LocalHash* hashes = chain->Locals(blocks);
      ASSERT_TRUE(std::equal(hashes, hashes + blocks, expected.begin()));
    }
  }
}

TEST(PromptChainTest, EveryFormGivesTheSameHashesHoweverFarItIsAsked) {
  const uint32_t seed = std::random_device()();
  for (uint32_t i = 0; i < 300; ++i) {
    SCOPED_TRACE("prompt " + std::to_string(seed + i));
    RandomPrompt prompt(seed + i);
    const std::vector<LocalHash> locals = prompt.Locals();
    PromptChain given{absl::MakeConstSpan(locals)};
    ExpectGives(locals, &prompt, &given);
    std::vector<LocalHash> memory = {LocalHash(99)};  // of another prompt
    const PromptBlocks blocks(prompt.tokens, prompt.block_size, prompt.seed, prompt.lookahead,
                              prompt.inputs);
    PromptChain hashed(blocks, &memory);
    ExpectGives(locals, &prompt, &hashed);
    const std::vector<PrefixHash> expected = ByDefinition(locals);
    PromptChain by_prefixes{absl::MakeConstSpan(expected)};
    EXPECT_EQ(by_prefixes.prefixes(), absl::MakeConstSpan(expected));
    if (!prompt.inputs.empty()) continue;
    std::vector<PrefixHash> whole;
    HashPrompt(prompt.tokens, prompt.block_size, prompt.seed, &whole, prompt.lookahead);
    EXPECT_EQ(whole, expected);
  }
}

TEST(PromptChainTest, HashesNoFurtherThanItIsAsked) {
  const std::vector<TokenId> tokens(4'000, 7);
  const std::vector<PromptInput> inputs = {{HashIdentifier("a"), 0, 4'000}};
  const NamespaceSeed seed = MakeNamespaceSeed("", "");
  for (const PromptBlocks& blocks :
       {PromptBlocks(tokens, 4, seed), PromptBlocks(tokens, 4, seed, 0, inputs)}) {
    std::vector<LocalHash> memory;
    PromptChain chain(blocks, &memory);
    EXPECT_EQ(memory.size(), 0u);
    chain.Locals(3);
    EXPECT_EQ(memory.size(), 3u);
  }
}

TEST(ChainLocalsTest, Appends) {
  const std::vector<LocalHash> locals = {LocalHash(1), LocalHash(2), LocalHash(3)};
  std::vector<PrefixHash> expected = ByDefinition(locals);
  std::vector<PrefixHash> prefixes = {PrefixHash(7)};
  expected.insert(expected.begin(), prefixes[0]);
  ChainLocals(locals, &prefixes);
  EXPECT_EQ(prefixes, expected);
}

}  // namespace
}  // namespace kvroute
