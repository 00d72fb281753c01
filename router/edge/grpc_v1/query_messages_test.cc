// Every field of the Router service's messages, both ways.
#include "router/edge/grpc_v1/query_messages.h"

#include <gtest/gtest.h>

#include <cctype>
#include <string>
#include <string_view>
#include <vector>

#include "indexer/base/limits.h"
#include "router/edge/grpc_v1/answers.h"
#include "test/support/routing_fixture.h"

namespace kvroute {
namespace {

v1::RouteRequest FullRequest() {
  v1::RouteRequest request;
  request.set_model("m");
  for (const TokenId token : {7u, 8u, 9u}) request.mutable_prompt()->add_token_ids(token);
  v1::MultimodalInput* input = request.mutable_prompt()->add_multimodal();
  input->set_identifier("image");
  input->set_offset_tokens(1);
  input->set_length_tokens(2);
  request.set_lora_name("adapter");
  request.set_cache_salt("salt");
  request.add_candidates()->set_worker_id("a");
  request.add_candidates()->set_worker_id("b");
  request.mutable_candidates(1)->set_rank(3);
  request.set_request_id("r1");
  request.set_expected_output_tokens(100);
  request.set_policy("prefix");
  request.set_runner_ups(5);
  return request;
}

TEST(QueryReaderTest, EveryFieldOfARouteRequest) {
  const v1::RouteRequest request = FullRequest();
  QueryReader reader;
  const Query query = reader.Read(request);
  EXPECT_EQ(query.model, "m");
  EXPECT_EQ(query.prompt.token_ids, (std::vector<TokenId>{7, 8, 9}));
  EXPECT_EQ(query.prompt.token_ids.data(), request.prompt().token_ids().data()) << "not copied";
  EXPECT_FALSE(query.prompt.block_hashes.has_value());
  ASSERT_EQ(query.prompt.multimodal.size(), 1u);
  EXPECT_EQ(query.prompt.multimodal[0].identifier, "image");
  EXPECT_EQ(query.prompt.multimodal[0].offset_tokens, 1u);
  EXPECT_EQ(query.prompt.multimodal[0].length_tokens, 2u);
  EXPECT_EQ(query.prompt_namespace.lora_name, "adapter");
  EXPECT_EQ(query.prompt_namespace.cache_salt, "salt");
  ASSERT_EQ(query.candidates.size(), 2u);
  EXPECT_EQ(query.candidates[0].worker_id, "a");
  EXPECT_EQ(query.candidates[0].rank, 0u);
  EXPECT_EQ(query.candidates[1].worker_id, "b");
  EXPECT_EQ(query.candidates[1].rank, 3u);
  EXPECT_EQ(query.request_id, "r1");
  EXPECT_EQ(query.expected_output_tokens, 100u);
  EXPECT_EQ(query.policy, "prefix");
  EXPECT_EQ(query.runner_ups, 5u);
}

TEST(QueryReaderTest, BlockHashesAreViewedWhereTheyLie) {
  v1::ScoreRequest request;
  v1::BlockHashes* hashes = request.mutable_prompt()->mutable_block_hashes();
  hashes->set_kind(v1::BlockHashes::KIND_PREFIX);
  hashes->add_hashes(UINT64_MAX);
  hashes->add_hashes(2);
  hashes->set_block_size_tokens(16);
  hashes->set_prompt_tokens(40);
  hashes->set_lookahead_tokens(1);
  QueryReader reader;
  const Query query = reader.Read(request);
  EXPECT_TRUE(query.prompt.token_ids.empty());
  ASSERT_TRUE(query.prompt.block_hashes.has_value());
  EXPECT_EQ(query.prompt.block_hashes->kind, BlockHashKind::kPrefix);
  EXPECT_EQ(query.prompt.block_hashes->hashes, (std::vector<uint64_t>{UINT64_MAX, 2}));
  EXPECT_EQ(query.prompt.block_hashes->hashes.data(), hashes->hashes().data());
  EXPECT_EQ(query.prompt.block_hashes->block_size_tokens, 16u);
  EXPECT_EQ(query.prompt.block_hashes->prompt_tokens, 40u);
  EXPECT_EQ(query.prompt.block_hashes->lookahead_tokens, 1u);
  hashes->set_kind(static_cast<v1::BlockHashes::Kind>(9));
  EXPECT_EQ(static_cast<int>(reader.Read(request).prompt.block_hashes->kind), 9)
      << "for the router to refuse";
}

TEST(QueryReaderTest, AScoreRequestAndWhatTheOneBeforeItLeavesBehind) {
  QueryReader reader;
  const v1::RouteRequest before = FullRequest();
  reader.Read(before);
  v1::ScoreRequest request;
  request.set_model("m2");
  request.mutable_prompt()->add_token_ids(1);
  request.set_lora_name("l");
  request.set_cache_salt("s");
  request.set_only_matching(true);
  const Query query = reader.Read(request);
  EXPECT_EQ(query.model, "m2");
  EXPECT_EQ(query.prompt.token_ids.size(), 1u);
  EXPECT_TRUE(query.prompt.multimodal.empty());
  EXPECT_TRUE(query.candidates.empty());
  EXPECT_EQ(query.prompt_namespace.lora_name, "l");
  EXPECT_EQ(query.prompt_namespace.cache_salt, "s");
  EXPECT_TRUE(query.only_matching);
  EXPECT_EQ(query.runner_ups, 0u);
}

// The router refuses them and says how many there are.
TEST(QueryReaderTest, ListsBeyondTheLimitsAreReadWhole) {
  v1::RouteRequest request = FullRequest();
  for (size_t i = 0; i <= limits::kMaxCandidates; ++i) request.add_candidates();
  for (size_t i = 0; i <= limits::kMaxMultimodalInputs; ++i)
    request.mutable_prompt()->add_multimodal();
  QueryReader reader;
  const Query query = reader.Read(request);
  EXPECT_EQ(query.candidates.size(), limits::kMaxCandidates + 3);
  EXPECT_EQ(query.prompt.multimodal.size(), limits::kMaxMultimodalInputs + 2);
  const v1::RouteRequest after = FullRequest();
  EXPECT_EQ(reader.Read(after).candidates.size(), 2u);
}

TEST(ReadOutcomeTest, EveryField) {
  v1::CompleteRequest request;
  request.set_request_id("r");
  request.set_progress(v1::CompleteRequest::PROGRESS_PREFILLED);
  EXPECT_EQ(ReadOutcome(request).request_id, "r");
  EXPECT_EQ(ReadOutcome(request).progress, Progress::kPrefilled);
  request.set_progress(v1::CompleteRequest::PROGRESS_ENDED);
  EXPECT_EQ(ReadOutcome(request).progress, Progress::kEnded);
  EXPECT_EQ(ReadOutcome(request).answer.end, UsageEnd::kNotTold);
  request.set_cached_tokens(0);
  EXPECT_EQ(ReadOutcome(request).answer.end, UsageEnd::kFound);
  EXPECT_EQ(ReadOutcome(request).answer.usage, (ResponseUsage{std::nullopt, 0, std::nullopt}));
  request.set_prompt_tokens(10);
  request.set_cached_tokens(8);
  request.set_output_tokens(3);
  EXPECT_EQ(ReadOutcome(request).answer.usage, (ResponseUsage{10, 8, 3}));
}

Match FullMatch(std::string_view worker_id) {
  Match match;
  match.worker_id = worker_id;
  match.address = "http://b:8000";
  match.rank = 1;
  match.block_size_tokens = 16;
  match.blocks = 10;
  match.blocks_by_tier = {1, 2, 3, 4};
  match.uncached_tokens = 33;
  match.trust = Trust::kDegraded;
  match.trust_reason = TrustReason::kReplayHole;
  match.unheard = true;
  match.next_seq = 42;
  match.requests_in_flight = 5;
  match.uncached_tokens_outstanding = 600;
  match.output_tokens_expected = 70;
  return match;
}

void ExpectFullMatch(const v1::Match& message, const std::string& worker_id) {
  EXPECT_EQ(message.target().worker_id(), worker_id);
  EXPECT_EQ(message.target().rank(), 1u);
  EXPECT_EQ(message.address(), "http://b:8000");
  EXPECT_EQ(message.matched_blocks(), 10u);
  EXPECT_EQ(message.matched_tokens(), 160u);
  EXPECT_EQ(message.matched_blocks_by_tier().gpu(), 1u);
  EXPECT_EQ(message.matched_blocks_by_tier().cpu(), 2u);
  EXPECT_EQ(message.matched_blocks_by_tier().disk(), 3u);
  EXPECT_EQ(message.matched_blocks_by_tier().external(), 4u);
  EXPECT_EQ(message.matched_tokens_by_tier().gpu(), 16u);
  EXPECT_EQ(message.matched_tokens_by_tier().cpu(), 32u);
  EXPECT_EQ(message.matched_tokens_by_tier().disk(), 48u);
  EXPECT_EQ(message.matched_tokens_by_tier().external(), 64u);
  EXPECT_EQ(message.uncached_tokens(), 33u);
  EXPECT_EQ(message.trust(), v1::TRUST_DEGRADED);
  EXPECT_EQ(message.trust_reason(), "replay_hole");
  EXPECT_TRUE(message.unheard());
  EXPECT_EQ(message.next_seq(), 42u);
  EXPECT_EQ(message.load().requests_in_flight(), 5u);
  EXPECT_EQ(message.load().uncached_tokens_outstanding(), 600u);
  EXPECT_EQ(message.load().output_tokens_expected(), 70u);
}

Decision FullDecision() {
  Decision decision;
  decision.chosen = FullMatch("b");
  decision.runner_ups = {FullMatch("c"), FullMatch("d")};
  decision.total_blocks = 12;
  decision.total_tokens = 193;
  decision.request_id = "r1";
  decision.policy = PolicyKind::kPrefix;
  decision.reason = ChoiceReason::kSpilledFromHot;
  decision.left_out[static_cast<size_t>(LeftOut::kNotACandidate)] = 9;  // the client's own doing
  decision.left_out[static_cast<size_t>(LeftOut::kDraining)] = 2;
  decision.left_out[static_cast<size_t>(LeftOut::kPromptBlocks)] = 1;
  return decision;
}

void ExpectFullDecision(const v1::RouteResponse& response) {
  ExpectFullMatch(response.chosen(), "b");
  ASSERT_EQ(response.runner_ups_size(), 2);
  ExpectFullMatch(response.runner_ups(0), "c");
  ExpectFullMatch(response.runner_ups(1), "d");
  EXPECT_EQ(response.total_blocks(), 12u);
  EXPECT_EQ(response.total_tokens(), 193u);
  EXPECT_EQ(response.request_id(), "r1");
  EXPECT_EQ(response.policy(), "prefix");
  EXPECT_EQ(response.reason(), "spilled_from_hot_worker");
  ASSERT_EQ(response.left_out_size(), 2);
  EXPECT_EQ(response.left_out(0).reason(), "draining");
  EXPECT_EQ(response.left_out(0).targets(), 2u);
  EXPECT_EQ(response.left_out(1).reason(), "prompt_blocks");
  EXPECT_EQ(response.left_out(1).targets(), 1u);
}

TEST(WriteAnswerTest, EveryFieldOfADecision) {
  v1::RouteResponse response;
  WriteDecision(FullDecision(), &response);
  ExpectFullDecision(response);
}

TEST(WriteAnswerTest, EveryFieldOfScores) {
  Scores scores;
  scores.matches = {FullMatch("b"), FullMatch("c")};
  scores.total_blocks = 12;
  scores.total_tokens = 193;
  v1::ScoreResponse response;
  WriteScores(scores, &response);
  ASSERT_EQ(response.matches_size(), 2);
  ExpectFullMatch(response.matches(0), "b");
  ExpectFullMatch(response.matches(1), "c");
  EXPECT_EQ(response.total_blocks(), 12u);
  EXPECT_EQ(response.total_tokens(), 193u);
}

TEST(WriteAnswerTest, EveryFieldOfAnExplanation) {
  Explanation explanation;
  explanation.candidates = {{FullMatch("b"), 1.5, LeftOut::kNo},
                            {FullMatch("c"), 0, LeftOut::kOverloaded}};
  explanation.local_hashes = {LocalHash(1), LocalHash(2)};
  explanation.prefix_hashes = {PrefixHash(1), PrefixHash(UINT64_MAX)};
  v1::ExplainResponse response;
  WriteExplanation(explanation, &response);
  EXPECT_FALSE(response.has_decision());
  ASSERT_EQ(response.candidates_size(), 2);
  ExpectFullMatch(response.candidates(0).match(), "b");
  EXPECT_EQ(response.candidates(0).score(), 1.5);
  EXPECT_EQ(response.candidates(0).left_out(), "");
  ExpectFullMatch(response.candidates(1).match(), "c");
  EXPECT_EQ(response.candidates(1).left_out(), "overloaded");
  ASSERT_EQ(response.local_hashes_size(), 2);
  EXPECT_EQ(response.local_hashes(1), 2u);
  ASSERT_EQ(response.prefix_hashes_size(), 2);
  EXPECT_EQ(response.prefix_hashes(1), UINT64_MAX);

  explanation.decision = FullDecision();
  v1::ExplainResponse decided;
  WriteExplanation(explanation, &decided);
  ExpectFullDecision(decided.decision());
}

TEST(WriteAnswerTest, EveryTrustHasItsNameInTheMessage) {
  for (size_t i = 0; i < kTrustCount; ++i) {
    const auto trust = static_cast<Trust>(i);
    std::string name = v1::Trust_Name(TrustMessage(trust));
    for (char& c : name) c = static_cast<char>(std::tolower(c));
    EXPECT_EQ(name, "trust_" + std::string(TrustName(trust)));
  }
}

class AnswerTest : public testing::Test, protected RoutingFixture {};

TEST_F(AnswerTest, AnErrorLeavesTheMessageEmptyAndIsCounted) {
  AddWorker(Spec("a"));
  v1::RouteRequest request = FullRequest();
  request.set_policy("best");
  v1::RouteResponse route;
  EXPECT_EQ(Answer(&router_, {}, request, &route).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(route.ByteSizeLong(), 0u);
  v1::ExplainResponse explain;
  EXPECT_FALSE(Answer(&router_, {}, request, &explain).ok());
  EXPECT_EQ(explain.ByteSizeLong(), 0u);
  v1::ScoreResponse score;
  EXPECT_FALSE(Answer(&router_, {}, v1::ScoreRequest(), &score).ok());
  EXPECT_EQ(score.ByteSizeLong(), 0u);
  v1::CompleteResponse complete;
  EXPECT_FALSE(Answer(&router_, {}, v1::CompleteRequest(), &complete).ok());
  for (const RpcMethod method :
       {RpcMethod::kRoute, RpcMethod::kExplain, RpcMethod::kScore, RpcMethod::kComplete}) {
    EXPECT_EQ(stats_.requests[static_cast<size_t>(method)]
                             [static_cast<size_t>(absl::StatusCode::kInvalidArgument)],
              1u)
        << RpcMethodName(method);
  }
}

}  // namespace
}  // namespace kvroute
