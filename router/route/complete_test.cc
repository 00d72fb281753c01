// What a request's end tells, and what becomes of what was predicted.
#include <string>

#include "indexer/base/limits.h"
#include "test/support/query_fixture.h"

namespace kvroute {
namespace {

using absl::StatusCode;

class CompleteTest : public RouterTest {
 protected:
  absl::StatusOr<bool> End(std::string_view id, const ResponseUsage& usage,
                           Progress progress = Progress::kEnded) {
    return router_.Complete({id, progress, {}, {usage, UsageEnd::kFound}});
  }
  const PredictionCounts& exact() const {
    return stats_.audit.by_trust[static_cast<size_t>(Trust::kExact)];
  }
  uint64_t Result(AuditResult result) const {
    return stats_.audit.results[static_cast<size_t>(result)];
  }
  uint64_t Answers(UsageEnd end) const { return stats_.audit.answers[static_cast<size_t>(end)]; }
  static size_t ClassOfRight() {
    const auto* begin = kPredictionErrorBounds.begin();
    return static_cast<size_t>(std::find(begin, kPredictionErrorBounds.end(), 0) - begin);
  }
};

TEST_F(CompleteTest, ThePredictionIsThatOfTheDecision) {
  AddWorker(Spec("a"));
  Store("a", Tokens(12));
  const Decision held = Route(Ask(Tokens(20)));
  EXPECT_EQ(held.chosen.tokens(), 12u);
  EXPECT_TRUE(*End(held.request_id, {20, 12, 3}));
  EXPECT_EQ(exact().predicted_tokens, 12u);
  EXPECT_EQ(exact().cached_tokens, 12u);
  EXPECT_EQ(exact().errors[ClassOfRight()], 1u);
  EXPECT_EQ(stats_.audit.output_tokens, 3u);
  // What the engine stores afterwards is no part of it.
  const Decision before = Route(Ask(Tokens(8, 100)));
  Store("a", Tokens(8, 100));
  EXPECT_TRUE(*End(before.request_id, {8, 0, 1}));
  EXPECT_EQ(exact().errors[ClassOfRight()], 2u);
  EXPECT_EQ(Result(AuditResult::kCompared), 2u);
}

TEST_F(CompleteTest, APromptHeldWholeIsRightWithoutTheLastTokensBlock) {
  AddWorker(Spec("a"));
  Store("a", Tokens(12));
  EXPECT_TRUE(*End(Route(Ask(Tokens(12))).request_id, {12, 8, 1}));
  EXPECT_EQ(exact().errors[ClassOfRight()], 1u);
}

TEST_F(CompleteTest, TheTrustIsThatOfTheDecision) {
  AddWorker(Spec("a"));
  source_.stream("a", 0)->trust = Trust::kDegraded;
  const Decision decision = Route(Ask(Tokens(12)));
  source_.stream("a", 0)->trust = Trust::kExact;
  EXPECT_TRUE(*End(decision.request_id, {12, 8, 1}));
  EXPECT_EQ(stats_.audit.by_trust[static_cast<size_t>(Trust::kDegraded)].cached_tokens, 8u);
  EXPECT_EQ(exact().cached_tokens, 0u);
}

TEST_F(CompleteTest, HashesPredictTooAndNeedNotSayHowLongThePromptIs) {
  AddWorker(Spec("a"));
  Store("a", Tokens(12));
  Request request;
  for (size_t i = 0; i < 3; ++i) {
    const std::vector<TokenId> tokens = Tokens(12);
    request.hash_values.push_back(
        HashBlock(absl::MakeConstSpan(tokens).subspan(i * 4, 4), MakeNamespaceSeed("", ""))
            .value());
  }
  request.rest.prompt.block_hashes = BlockHashesView{BlockHashKind::kLocal, {}, 4, 0, 0};
  EXPECT_TRUE(*End(Route(request).request_id, {14, 12, 1}));
  EXPECT_EQ(exact().errors[ClassOfRight()], 1u);
  EXPECT_EQ(stats_.audit.other_prompts, 0u);
  EXPECT_TRUE(*End(Route(Ask(Tokens(12))).request_id, {14, 12, 1}));
  EXPECT_EQ(stats_.audit.other_prompts, 1u);
}

TEST_F(CompleteTest, WithoutAPromptNothingIsPredicted) {
  AddWorker(Spec("a"));
  Request request;
  request.rest.no_prompt = NoPrompt::kRender;
  EXPECT_TRUE(*End(Route(request).request_id, {12, 8, 1}));
  EXPECT_EQ(Result(AuditResult::kNotPredicted), 1u);
  EXPECT_EQ(exact().cached_tokens, 0u);
}

TEST_F(CompleteTest, WhatAnotherEngineServedIsNotCompared) {
  WorkerSpec a = Spec("a"), b = Spec("b");
  a.address = "10.0.0.1:8000";
  b.address = "10.0.0.2:8000";
  AddWorker(a);
  AddWorker(b);
  const Decision decision = Route(Ask(Tokens(12)));
  const bool to_a = decision.chosen.worker_id == "a";
  const auto other = ParseEndpoint(to_a ? b.address : a.address);
  EXPECT_TRUE(router_.Moved(decision.request_id, *other, {}));
  EXPECT_TRUE(*End(decision.request_id, {12, 8, 1}));
  EXPECT_EQ(Result(AuditResult::kMoved), 1u);
  EXPECT_EQ(Result(AuditResult::kCompared), 0u);
}

TEST_F(CompleteTest, AnEndThatTellsNothingIsCounted) {
  AddWorker(Spec("a"));
  EXPECT_TRUE(Complete(Route(Ask(Tokens(12))).request_id));
  EXPECT_EQ(Answers(UsageEnd::kNotTold), 1u);
  EXPECT_FALSE(*End("nobody's", {12, 8, 1})) << "there is no such lease";
  EXPECT_EQ(Answers(UsageEnd::kFound), 0u);
}

TEST_F(CompleteTest, BadNumbersNameTheFieldAndItsLimitAndEndNothing) {
  AddWorker(Spec("a"));
  const std::string id = Route(Ask(Tokens(12))).request_id;
  constexpr uint64_t kMost = limits::kMaxPromptTokens;
  const auto error = [&](const ResponseUsage& usage, const std::string& part,
                         Progress progress = Progress::kEnded) {
    ExpectError(End(id, usage, progress).status(), StatusCode::kInvalidArgument, part);
  };
  error({kMost + 1, 0, 0}, "prompt_tokens: 4194305; the limit is 4194304");
  error({std::nullopt, UINT64_MAX, 0}, "cached_tokens: 18446744073709551615; the limit is");
  error({1, 0, kMost + 1}, "output_tokens: 4194305; the limit is 4194304");
  error({12, 13, 0}, "cached_tokens: 13, more than prompt_tokens: 12");
  error({std::nullopt, 0, std::nullopt}, "cached_tokens: told with PROGRESS_ENDED (2) only",
        Progress::kPrefilled);
  EXPECT_EQ(loads_.Stats().leases, 1u);
  EXPECT_EQ(Answers(UsageEnd::kFound), 0u);
  EXPECT_TRUE(*End(id, {kMost, kMost, kMost}));
}

}  // namespace
}  // namespace kvroute
