#include "router/prompt/prompt_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "indexer/base/limits.h"

namespace kvroute {
namespace {

using testing::HasSubstr;

constexpr HashProfile kBy4{4, false};
// From the hash definition of the API: blocks 1,2,3,4 and 5,6,7,8 of block size 4, and the chain of
// the two.
constexpr uint64_t kLocal0 = 14643705804678351452u;
constexpr uint64_t kLocal1 = 16777012769546811212u;
constexpr uint64_t kPrefix1 = 4945711292740353085u;

// A prompt with what its view points into.
struct Prompt {
  std::vector<TokenId> token_ids;
  std::vector<uint64_t> hash_values;
  std::optional<BlockHashesView> block_hashes;  // its hashes are hash_values
  std::vector<MultimodalInput> multimodal;

  PromptView View() const {
    PromptView view{token_ids, block_hashes, multimodal};
    if (view.block_hashes) view.block_hashes->hashes = hash_values;
    return view;
  }
};

Prompt OfTokens(uint32_t count) {
  Prompt prompt;
  for (uint32_t i = 1; i <= count; ++i) prompt.token_ids.push_back(i);
  return prompt;
}

Prompt OfHashes(BlockHashKind kind, const std::vector<uint64_t>& hashes, uint32_t block_size = 4) {
  Prompt prompt;
  prompt.hash_values = hashes;
  prompt.block_hashes = {kind, {}, block_size, 0};
  return prompt;
}

// Keeps the prompt, which what is parsed refers to.
absl::Status ParseKept(Prompt prompt, PromptNamespace prompt_namespace,
                       absl::Span<const HashProfile> profiles, ParsedPrompt* parsed) {
  static auto* const kept = new std::deque<Prompt>();
  kept->push_back(std::move(prompt));
  return ParsePrompt(kept->back().View(), prompt_namespace, profiles, parsed);
}

std::vector<uint64_t> PrefixesOf(ParsedPrompt& parsed, size_t profile = 0) {
  PromptChain& chain = parsed.hashes[profile].chain;
  const PrefixHash* hashes = chain.First(chain.size());
  std::vector<uint64_t> values;
  for (size_t i = 0; i < chain.size(); ++i) values.push_back(hashes[i].value());
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
      ParseKept(OfTokens(9), {}, {kBy4, HashProfile{2, false}, HashProfile{4, true}}, &parsed)
          .ok());
  ASSERT_EQ(parsed.profile_count, 3u);
  EXPECT_EQ(PrefixesOf(parsed, 0).size(), 2u);
  EXPECT_EQ(PrefixesOf(parsed, 1).size(), 4u);
  // A bigram block is hashed over its tokens and the one that follows: 9 tokens have 2 blocks, 8
  // have 1.
  EXPECT_EQ(PrefixesOf(parsed, 2).size(), 2u);
  const std::vector<TokenId> five = {1, 2, 3, 4, 5};
  EXPECT_EQ(PrefixesOf(parsed, 2)[0], HashBlock(five, MakeNamespaceSeed("", "")).value());
  ASSERT_TRUE(ParseKept(OfTokens(8), {}, {HashProfile{4, true}}, &parsed).ok());
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
  std::vector<PrefixHash> chained;
  ChainLocals(mixed, &chained);
  EXPECT_TRUE(std::equal(chained.begin(), chained.end(), parsed.hashes[0].chain.First(5)));
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
    hashes.chain.First(1);
    EXPECT_EQ(hashes.memory.size(), hashes.chain.complete() ? 0u : 1u);  // prefix hashes are taken
  }
}

TEST(PromptParserTest, HashesOfAnotherBlockSizeAreNotComparable) {
  ParsedPrompt parsed;
  ASSERT_TRUE(ParseKept(OfHashes(BlockHashKind::kLocal, {1, 2}, 8), {},
                        {kBy4, HashProfile{8, false}}, &parsed)
                  .ok());
  EXPECT_FALSE(parsed.hashes[0].comparable);
  EXPECT_TRUE(parsed.hashes[1].comparable);
  EXPECT_EQ(PrefixesOf(parsed, 0).size(), 0u);
  EXPECT_EQ(PrefixesOf(parsed, 1).size(), 2u);
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
      ParseKept(OfHashes(BlockHashKind::kLocal, {1, 2}, 8), {}, {HashProfile{8, false}}, &parsed)
          .ok());
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

struct BadCase {
  const char* name;
  std::function<Prompt()> prompt;
  PromptNamespace prompt_namespace;
  const char* message;  // a part of it: the field, the value, the limit
};

class BadPromptTest : public testing::TestWithParam<BadCase> {};

TEST_P(BadPromptTest, IsRefusedWithFieldValueAndLimit) {
  ParsedPrompt parsed;
  const absl::Status status = ParseKept(GetParam().prompt(), GetParam().prompt_namespace,
                                        {kBy4, HashProfile{16, false}}, &parsed);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

Prompt WithInput(const char* id, uint32_t offset, uint32_t length, size_t times = 1) {
  Prompt prompt = OfTokens(20);
  prompt.multimodal.assign(times, {id, offset, length});
  return prompt;
}

Prompt With(Prompt prompt, const std::function<void(Prompt*)>& change) {
  change(&prompt);
  return prompt;
}

const std::string kLong(limits::kMaxNamespaceBytes + 1, 'x');
constexpr auto kLocalKind = BlockHashKind::kLocal;

INSTANTIATE_TEST_SUITE_P(
    All, BadPromptTest,
    testing::Values(
        BadCase{"empty", [] { return Prompt(); }, {}, "prompt: empty"},
        BadCase{"tokens",
                [] { return OfTokens(limits::kMaxPromptTokens + 1); },
                {},
                "prompt.token_ids: 4194305 tokens; the limit is 4194304"},
        BadCase{"blocks",
                [] { return OfTokens(4 * (limits::kMaxPromptBlocks + 1)); },
                {},
                "prompt.token_ids: 262145 blocks of 4 tokens; the limit is 262144"},
        BadCase{"lora",
                [] { return OfTokens(8); },
                {kLong, ""},
                "lora_name: 1025 bytes; the limit is 1024"},
        BadCase{"salt",
                [] { return OfTokens(8); },
                {"", kLong},
                "cache_salt: 1025 bytes; the limit is 1024"},
        BadCase{"both",
                [] { return With(OfTokens(8), [](auto* p) { p->block_hashes.emplace(); }); },
                {},
                "both token_ids and block_hashes"},
        BadCase{"kind",
                [] { return OfHashes(BlockHashKind::kUnspecified, {1}); },
                {},
                "prompt.block_hashes.kind: 0"},
        BadCase{"unknown_kind",
                [] { return OfHashes(static_cast<BlockHashKind>(9), {1}); },
                {},
                "prompt.block_hashes.kind: 9"},
        BadCase{"hashes",
                [] {
                  return OfHashes(kLocalKind, std::vector<uint64_t>(limits::kMaxPromptBlocks + 1));
                },
                {},
                "prompt.block_hashes.hashes: 262145 blocks; the limit is 262144"},
        BadCase{"block_size_0",
                [] { return OfHashes(kLocalKind, {1}, 0); },
                {},
                "block_size_tokens: 0; must be 1 to 1048576"},
        BadCase{"block_size_differs",
                [] { return OfHashes(kLocalKind, {1}, 8); },
                {},
                "block_size_tokens: 8; the model's workers use 4 and 16"},
        BadCase{"no_hashes", [] { return OfHashes(kLocalKind, {}); }, {}, "prompt: empty"},
        BadCase{"prompt_tokens",
                [] {
                  return With(OfHashes(kLocalKind, {1, 2}),
                              [](auto* p) { p->block_hashes->prompt_tokens = 7; });
                },
                {},
                "prompt_tokens: 7, fewer than the 8 that are hashed"},
        BadCase{"many_prompt_tokens",
                [] {
                  return With(OfHashes(kLocalKind, {1, 2}),
                              [](auto* p) { p->block_hashes->prompt_tokens = 4'194'305; });
                },
                {},
                "prompt.block_hashes: 4194305 tokens; the limit is 4194304"},
        BadCase{"hashes_and_lora",
                [] { return OfHashes(kLocalKind, {1}); },
                {"a", ""},
                "lora_name: \"a\"; with block_hashes"},
        BadCase{"hashes_and_salt",
                [] { return OfHashes(kLocalKind, {1}); },
                {"", "s"},
                "cache_salt: \"s\"; with block_hashes"},
        BadCase{"hashes_and_images",
                [] {
                  return With(OfHashes(kLocalKind, {1}),
                              [](auto* p) { p->multimodal.emplace_back(); });
                },
                {},
                "prompt.multimodal: 1 inputs; with block_hashes"},
        BadCase{"image_without_name",
                [] { return WithInput("", 0, 1); },
                {},
                "prompt.multimodal[0].identifier: 0 bytes; must be 1 to 1024"},
        BadCase{"image_of_nothing",
                [] { return WithInput("a", 0, 0); },
                {},
                "prompt.multimodal[0].length_tokens: 0"},
        BadCase{"image_beyond",
                [] { return WithInput("a", 19, 2); },
                {},
                "prompt.multimodal[0]: ends at token 21 of 20"},
        BadCase{"image_far_beyond",
                [] { return WithInput("a", UINT32_MAX, UINT32_MAX); },
                {},
                "prompt.multimodal[0]: ends at token 8589934590 of 20"},
        BadCase{"images_overlap",
                [] { return WithInput("a", 3, 2, 2); },
                {},
                "prompt.multimodal[1].offset_tokens: 3, before the end"},
        BadCase{"images",
                [] { return WithInput("a", 0, 1, limits::kMaxMultimodalInputs + 1); },
                {},
                "prompt.multimodal: 4097 inputs; the limit is 4096"}),
    [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace kvroute
