// Workers of one model that hash prompts in different ways, and prompts of which some of them
// cannot say what they hold.
#include <string>
#include <vector>

#include "indexer/base/limits.h"
#include "test/support/query_fixture.h"

namespace kvroute {
namespace {

class RouterProfileTest : public RouterTest {
 protected:
  Scores Score(const Request& request) {
    Scores scores;
    const absl::Status status = router_.Score(request.View(), &scores);
    EXPECT_TRUE(status.ok()) << status;
    return scores;
  }
  static const Match* Of(const Scores& scores, std::string_view worker) {
    for (const Match& match : scores.matches) {
      if (match.worker_id == worker) return &match;
    }
    return nullptr;
  }
  static uint32_t LeftOutFor(const Decision& decision, LeftOut why) {
    return decision.left_out[static_cast<size_t>(why)];
  }
  static void ExpectDegraded(const Match& match, TrustReason reason) {
    EXPECT_EQ(TrustName(match.trust), TrustName(Trust::kDegraded));
    EXPECT_EQ(TrustReasonName(match.trust_reason), TrustReasonName(reason));
  }
  // Hashes of 4-token blocks and as many tokens behind each.
  static Request AskByHashes(const std::vector<TokenId>& tokens, uint32_t lookahead) {
    Request request = Ask({});
    request.rest.prompt.block_hashes = {BlockHashKind::kLocal, {}, 4, 0, lookahead};
    for (size_t i = 0; i < FullBlocks(tokens.size(), 4, lookahead); ++i) {
      request.hash_values.push_back(
          HashBlock(TokensOfBlock(tokens, 4, i, lookahead), MakeNamespaceSeed("", "")).value());
    }
    return request;
  }
};

TEST_F(RouterProfileTest, AWorkerOfTinyBlocksIsLeftOutOfALongPromptAndNobodyElse) {
  AddWorker(Spec("tiny", 1, 1));
  AddWorker(Spec("usual", 1, 16));
  const std::vector<TokenId> prompt = Tokens(limits::kMaxPromptBlocks + 1);
  Store("usual", Tokens(32), 16);
  const Decision decision = Route(Ask(prompt));
  EXPECT_EQ(decision.chosen.worker_id, "usual");
  EXPECT_EQ(decision.chosen.blocks, 2u);
  EXPECT_EQ(decision.chosen.trust, Trust::kExact);
  EXPECT_EQ(LeftOutFor(decision, LeftOut::kPromptBlocks), 1u);
  EXPECT_EQ(stats_.left_out[static_cast<size_t>(LeftOut::kPromptBlocks)], 1u);

  Explanation explanation;
  ASSERT_TRUE(router_.Explain(Ask(prompt).View(), &explanation).ok());
  EXPECT_EQ(explanation.candidates[0].left_out, LeftOut::kPromptBlocks);
  EXPECT_EQ(explanation.candidates[1].left_out, LeftOut::kNo);
  Request request = Ask(prompt);
  request.rest.only_matching = true;
  const Scores scores = Score(request);
  ASSERT_NE(Of(scores, "tiny"), nullptr) << "trouble is named";
  ExpectDegraded(*Of(scores, "tiny"), TrustReason::kPromptBlocks);

  const Decision shorter = Route(Ask(Tokens(limits::kMaxPromptBlocks)));
  EXPECT_EQ(LeftOutFor(shorter, LeftOut::kPromptBlocks), 0u);
}

TEST_F(RouterProfileTest, WhereNobodyCanBeComparedLoadDecides) {
  AddWorker(Spec("a", 1, 1));
  AddWorker(Spec("b", 1, 1));
  const std::vector<TokenId> prompt = Tokens(limits::kMaxPromptBlocks + 1);
  const Decision first = Route(Ask(prompt));
  const Decision second = Route(Ask(prompt));
  EXPECT_NE(first.chosen.worker_id, second.chosen.worker_id);
  ExpectDegraded(first.chosen, TrustReason::kPromptBlocks);
  EXPECT_EQ(first.chosen.uncached_tokens, prompt.size());
  EXPECT_EQ(LeftOutFor(first, LeftOut::kPromptBlocks), 0u);
  Explanation explanation;
  ASSERT_TRUE(router_.Explain(Ask(prompt).View(), &explanation).ok());
  EXPECT_EQ(explanation.candidates[0].left_out, LeftOut::kNo);
  EXPECT_TRUE(explanation.prefix_hashes.empty());
  ASSERT_TRUE(fleet_.SetDraining("a", true).ok());
  ASSERT_TRUE(fleet_.SetDraining("b", true).ok());
  ExpectError(RouteError(Ask(prompt)), absl::StatusCode::kUnavailable, "2 draining");
}

TEST_F(RouterProfileTest, AnEngineThatNamesNoSaltsVouchesForNoSaltedPrompt) {
  AddWorker(Spec("old"));
  AddWorker(Spec("new"));
  source_.stream("old")->unnamed_keys = kSaltKeys | kImageKeys;
  const auto ask = [&](Request request) {
    request.rest.only_matching = true;
    return Score(request);
  };
  const Request plain = Ask(Tokens(8));
  EXPECT_TRUE(ask(plain).matches.empty());
  Request adapter = plain;
  adapter.rest.prompt_namespace.lora_name = "sql";
  EXPECT_TRUE(ask(adapter).matches.empty());
  Request salted = plain;
  salted.rest.prompt_namespace.cache_salt = "tenant";
  Request with_image = plain;
  const MultimodalInput image{"image", 2, 2};
  with_image.rest.prompt.multimodal = {&image, 1};
  for (const Request& request : {salted, with_image}) {
    const Scores scores = ask(request);
    ASSERT_EQ(scores.matches.size(), 1u);
    EXPECT_EQ(scores.matches[0].worker_id, "old");
    ExpectDegraded(scores.matches[0], TrustReason::kKeysNotPublished);
    EXPECT_EQ(Of(Score(request), "new")->trust, Trust::kExact);
  }
  salted.candidates = {{"old"}};
  Route(salted);
  EXPECT_EQ(stats_.trusts[static_cast<size_t>(Trust::kDegraded)]
                         [static_cast<size_t>(TrustReason::kKeysNotPublished)],
            1u);
  source_.stream("old")->trust = Trust::kSyncing;  // what is worse is said
  EXPECT_EQ(ask(salted).matches[0].trust, Trust::kSyncing);
}

TEST_F(RouterProfileTest, HashesOfAnotherLookaheadSayNothing) {
  AddWorker(Spec("eagle"));
  source_.stream("eagle")->lookahead_tokens = 1;
  const std::vector<TokenId> tokens = Tokens(9);
  Decision decision = Route(AskByHashes(tokens, 1));
  EXPECT_EQ(decision.chosen.trust, Trust::kExact);
  EXPECT_EQ(decision.total_blocks, 1u) << "of the 8 tokens that are said";
  decision = Route(AskByHashes(tokens, 0));
  ExpectDegraded(decision.chosen, TrustReason::kOtherHashes);
  AddWorker(Spec("plain"));
  decision = Route(AskByHashes(tokens, 0));
  EXPECT_EQ(decision.chosen.worker_id, "plain");
  EXPECT_EQ(LeftOutFor(decision, LeftOut::kLookahead), 1u);
  ExpectDegraded(*Of(Score(AskByHashes(tokens, 0)), "eagle"), TrustReason::kOtherHashes);
}

TEST_F(RouterProfileTest, OneModelHasOnlySoManyProfiles) {
  for (uint32_t i = 0; i <= limits::kMaxHashProfiles; ++i) {
    AddWorker(Spec("w" + std::to_string(10 + i), 1, 1 + i));
  }
  const auto last = static_cast<uint32_t>(limits::kMaxHashProfiles);
  Store("w" + std::to_string(10 + last), Tokens(64), 1 + last);
  Store("w10", Tokens(1), 1);
  const Decision decision = Route(Ask(Tokens(64), "prefix"));
  EXPECT_EQ(decision.chosen.worker_id, "w10");
  EXPECT_EQ(LeftOutFor(decision, LeftOut::kHashProfiles), 1u);
  const Scores scores = Score(Ask(Tokens(64)));
  const Match* beyond = Of(scores, "w" + std::to_string(10 + last));
  ASSERT_NE(beyond, nullptr);
  EXPECT_EQ(beyond->blocks, 0u);
  ExpectDegraded(*beyond, TrustReason::kOtherHashes);
}

}  // namespace
}  // namespace kvroute
