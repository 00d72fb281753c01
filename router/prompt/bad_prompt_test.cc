// What a prompt may not be: each is refused with its field, its value and the limit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "indexer/base/limits.h"
#include "router/prompt/prompt_parser.h"
#include "test/support/kept_prompts.h"

namespace kvroute {
namespace {

using testing::HasSubstr;

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
                                        {kBy4, HashProfile{16, 0}}, &parsed);
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
        BadCase{"lookahead",
                [] {
                  return With(OfHashes(kLocalKind, {1}),
                              [](auto* p) { p->block_hashes->lookahead_tokens = 65; });
                },
                {},
                "prompt.block_hashes.lookahead_tokens: 65; the limit is 64"},
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
