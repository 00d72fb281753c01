// What a pick says beside the endpoint: who computes the prompt, scores, another model; and what
// the gateways' conformance tests ask.
#include <algorithm>
#include <string>
#include <vector>

#include "test/support/picker_fixture.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class PickerSurfaceTest : public PickerTest {
 protected:
  void Add(const std::string& id, const std::string& address, WorkerRole role = WorkerRole::kDecode,
           uint32_t limit = 0) {
    WorkerSpec spec = Spec(id);
    spec.address = address;
    spec.role = role;
    spec.max_requests_in_flight = limit;
    AddWorker(spec);
  }
  static std::string Set(const EnvoyResponse& reply, const std::string& name) {
    const auto& common = reply.has_request_body()       ? reply.request_body().response()
                         : reply.has_response_headers() ? reply.response_headers().response()
                                                        : reply.request_headers().response();
    std::string value;
    for (const auto& set : common.header_mutation().set_headers()) {
      if (set.header().key() == name) value += set.header().raw_value();
    }
    return value;
  }
  static std::vector<std::string> Removed(const EnvoyResponse& reply) {
    const auto& removed = reply.request_headers().response().header_mutation().remove_headers();
    return {removed.begin(), removed.end()};
  }
  // The answers to a request with its body, in full duplex.
  std::vector<EnvoyResponse> Ask(const std::string& body,
                                 std::vector<std::pair<std::string, std::string>> headers = {}) {
    headers.emplace_back(":path", kGenerate);
    Open();
    EXPECT_THAT(Say(HeadersOf(headers)), IsEmpty());
    return Say(Body(body, true));
  }
  uint64_t Count(PrefillChoice choice) const {
    return picker_stats_.prefills[static_cast<size_t>(choice)];
  }
  uint64_t Count(Rewrite rewrite) const {
    return picker_stats_.rewrites[static_cast<size_t>(rewrite)];
  }
  using PickerTest::Count;
  void Publish(const std::vector<RequestRules::Objective>& objectives,
               std::vector<ModelRewrite> rewrites = {}) {
    rules_.Publish(std::make_shared<RequestRules>(objectives, std::move(rewrites)));
  }
  const TargetLoad& LoadOf(const std::string& id) {
    return *fleet_.Snapshot()->targets[*fleet_.Snapshot()->FindTarget(id, 0)].load;
  }
};

TEST_F(PickerSurfaceTest, ALongPromptIsComputedByAPrefiller) {
  Start({.prefill_uncached_tokens = 32});
  Add("d", "10.0.0.1:8000");
  Add("p", "10.0.0.2:8000", WorkerRole::kPrefill);
  const auto replies = Ask(TokensBody(64), {{"x-prefiller-host-port", "6.6.6.6:1"}});
  EXPECT_EQ(PickIn(replies[0]), "10.0.0.1:8000");
  EXPECT_EQ(Set(replies[0], "x-prefiller-host-port"), "10.0.0.2:8000");
  EXPECT_THAT(Removed(replies[0]), IsEmpty()) << "it is overwritten";
  EXPECT_EQ(Count(PrefillChoice::kElsewhere), 1u);
  // The work is where it is done: until the first token at the prefiller, then at the other.
  EXPECT_EQ(Leases(), 2u);
  EXPECT_EQ(LoadOf("p").uncached_tokens_outstanding, 64u);
  EXPECT_EQ(LoadOf("d").uncached_tokens_outstanding, 0u);
  EXPECT_EQ(LoadOf("d").requests_in_flight, 1u);
  Say(Response("200"));
  Say(ResponseBody("token", false));
  EXPECT_EQ(LoadOf("p").requests_in_flight, 0u);
  EXPECT_EQ(Leases(), 1u);
  Say(ResponseBody("", true));
  EXPECT_EQ(Leases(), 0u);
}

// The number of cached tokens is the prefiller's, which holds two blocks more than the picked one.
TEST_F(PickerSurfaceTest, APrefillersCacheIsComparedWithWhatWasPredictedOfIt) {
  Start({.prefill_uncached_tokens = 32});
  Add("d", "10.0.0.1:8000");
  Add("p", "10.0.0.2:8000", WorkerRole::kPrefill);
  Store("p", Tokens(32));
  ASSERT_EQ(Set(Ask(TokensBody(64))[0], "x-prefiller-host-port"), "10.0.0.2:8000");
  EnvoyRequest headers = Response("200");
  auto* type = headers.mutable_response_headers()->mutable_headers()->add_headers();
  type->set_key("content-type");
  type->set_raw_value("application/json");
  Say(headers);
  Say(ResponseBody(R"({"usage":{"prompt_tokens":64,"prompt_tokens_details":{"cached_tokens":48}}})",
                   true));
  const auto count = [&](AuditResult result) -> uint64_t {
    return stats_.audit.results[static_cast<size_t>(result)];
  };
  EXPECT_EQ(count(AuditResult::kCompared), 1u);
  EXPECT_EQ(LoadOf("d").predictions(), nullptr);
  uint64_t predicted = 0, cached = 0;
  for (const PredictionCounts& counts : LoadOf("p").predictions()->by_trust) {
    predicted += counts.predicted_tokens;
    cached += counts.cached_tokens;
  }
  EXPECT_EQ(predicted, 32u);
  EXPECT_EQ(cached, 48u);
}

TEST_F(PickerSurfaceTest, BothLeasesEndWithAStreamThatIsCutOff) {
  Start({.prefill = PrefillElsewhere::kAlways});
  Add("d", "10.0.0.1:8000");
  Add("p", "10.0.0.2:8000", WorkerRole::kBoth);
  Ask(TokensBody(16));
  Close();
  EXPECT_EQ(Leases(), 0u);
}

TEST_F(PickerSurfaceTest, AShortOrCachedPromptIsComputedWhereItGoes) {
  Start({.prefill_uncached_tokens = 32, .prefill_prompt_tokens = 60});
  Add("d", "10.0.0.1:8000");
  Add("p", "10.0.0.2:8000", WorkerRole::kPrefill);
  Store("d", Tokens(48));
  EXPECT_EQ(Set(Ask(TokensBody(64))[0], "x-prefiller-host-port"), "") << "16 are not cached";
  EXPECT_EQ(Set(Ask(TokensBody(59))[0], "x-prefiller-host-port"), "") << "59 in all";
  EXPECT_EQ(Count(PrefillChoice::kShort), 2u);
  EXPECT_EQ(Set(Ask(TokensBody(128))[0], "x-prefiller-host-port"), "10.0.0.2:8000");
}

TEST_F(PickerSurfaceTest, ThePrefillerIsTheOneThatHoldsMostOfThePrompt) {
  Start({.prefill = PrefillElsewhere::kAlways});
  Add("d", "10.0.0.1:8000");
  for (int i = 2; i <= 4; ++i) {
    Add(absl::StrCat("p", i), absl::StrCat("10.0.0.", i, ":8000"), WorkerRole::kPrefill);
  }
  Store("p3", Tokens(48));
  EXPECT_EQ(Set(Ask(TokensBody(64))[0], "x-prefiller-host-port"), "10.0.0.3:8000");
}

TEST_F(PickerSurfaceTest, WithoutAFitPrefillerThePickedOneComputesThePrompt) {
  Start({.prefill = PrefillElsewhere::kAlways});
  Add("d", "10.0.0.1:8000");
  Ask(TokensBody(64));
  for (const PrefillChoice choice : {PrefillChoice::kElsewhere, PrefillChoice::kNobody}) {
    EXPECT_EQ(Count(choice), 0u) << "nobody could";
  }
  Add("p", "10.0.0.2:8000", WorkerRole::kPrefill, 1);
  EXPECT_EQ(Set(Ask(TokensBody(64))[0], "x-prefiller-host-port"), "10.0.0.2:8000");
  EXPECT_EQ(Set(Ask(TokensBody(64))[0], "x-prefiller-host-port"), "");
  EXPECT_EQ(Count(PrefillChoice::kOverloaded), 1u);
  Open();
  Say(WithSubset(HeadersTo(kGenerate), "10.0.0.1:8000"));
  EXPECT_EQ(Set(Say(Body(TokensBody(64), true))[0], "x-prefiller-host-port"), "");
  EXPECT_EQ(Count(PrefillChoice::kNobody), 1u) << "its gateway does not allow the prefiller";
}

TEST_F(PickerSurfaceTest, WhoOnlyPrefillsGetsNoRequests) {
  Add("p", "10.0.0.2:8000", WorkerRole::kPrefill);
  const auto replies = Ask(TokensBody(64));
  ASSERT_TRUE(replies[0].has_immediate_response());
  EXPECT_THAT(replies[0].immediate_response().body(), HasSubstr("1 role"));
}

TEST_F(PickerSurfaceTest, AWorkerThatDoesBothIsNotItsOwnPrefiller) {
  Start({.prefill = PrefillElsewhere::kAlways});
  Add("b", "10.0.0.1:8000", WorkerRole::kBoth);
  EXPECT_EQ(Set(Ask(TokensBody(64))[0], "x-prefiller-host-port"), "");
  EXPECT_EQ(Count(PrefillChoice::kItself), 1u);
  EXPECT_EQ(Leases(), 1u);
}

TEST_F(PickerSurfaceTest, ScoresAreTheSharesOfThePromptThatAreHeld) {
  Start({.fallback_endpoints = 1, .tell_scores = true});
  Add("a", "10.0.0.1:8000");
  Add("b", "10.0.0.2:8000");
  Add("c", "10.0.0.3:8000");
  Store("b", Tokens(48));
  const auto replies = Ask(TokensBody(64));
  const std::string told = PickIn(replies[0]);
  EXPECT_TRUE(told.starts_with("10.0.0.2:8000,")) << told;
  EXPECT_EQ(std::count(told.begin(), told.end(), ','), 1);
  const auto& scores = replies[0]
                           .dynamic_metadata()
                           .fields()
                           .at("envoy.lb")
                           .struct_value()
                           .fields()
                           .at("x-gateway-destination-endpoint-scores")
                           .struct_value()
                           .fields();
  ASSERT_EQ(scores.size(), 3u);
  EXPECT_EQ(scores.at("10.0.0.2:8000").number_value(), 0.75);
  EXPECT_EQ(scores.at("10.0.0.1:8000").number_value(), 0.0);
}

TEST_F(PickerSurfaceTest, AHeaderNamesAnotherModelInTheBody) {
  Add("d", "10.0.0.1:8000");
  std::string body = TokensBody(64, "alias");
  bool end = false;
  const auto replies =
      Ask(body, {{"X-LLM-D-Model-Name-Rewrite", "m"}, {"x-gateway-model-name-rewrite", "older"}});
  EXPECT_EQ(Echo(replies, &end), TokensBody(64, "m"));
  EXPECT_TRUE(end);
  EXPECT_EQ(Count(Rewrite::kDone), 1u);
  EXPECT_EQ(picker_stats_.adapters, 0u) << "it is routed as that model";
  EXPECT_THAT(Removed(replies[0]),
              ElementsAre("x-gateway-model-name-rewrite", "x-llm-d-model-name-rewrite"));
  // Quotes of a name do not leave it.
  EXPECT_EQ(
      Echo(Ask(R"({"token_ids":[1,2],"model":"x"})", {{"x-gateway-model-name-rewrite", R"(a"b)"}}),
           &end),
      R"({"token_ids":[1,2],"model":"a\"b"})");
}

TEST_F(PickerSurfaceTest, ARewriteThatCannotBeDoneIsCountedAndTheRequestRouted) {
  Add("d", "10.0.0.1:8000");
  bool end = false;
  const std::pair<std::string, std::string> rewrite = {"x-llm-d-model-name-rewrite", "m"};
  EXPECT_EQ(Echo(Ask(R"({"token_ids":[1,2]})", {rewrite}), &end), R"({"token_ids":[1,2]})");
  EXPECT_EQ(Count(Rewrite::kNoModel), 1u);
  EXPECT_EQ(Echo(Ask(TokensBody(8), {{rewrite.first, "a\nb"}}), &end), TokensBody(8));
  EXPECT_EQ(Count(Rewrite::kBadName), 1u);
  // Of a body that is cut off the rest has its length already.
  Open();
  Say(WithModes(HeadersOf({{":path", kGenerate}, rewrite}), BodyMode::kBufferedPartial,
                BodyMode::kStreamed));
  const auto cut = Say(Body(TokensBody(8), false));
  EXPECT_EQ(PickIn(cut[0]), "10.0.0.1:8000");
  EXPECT_FALSE(cut[0].request_body().response().has_body_mutation());
  EXPECT_EQ(Count(Rewrite::kNotShown), 1u);
}

TEST_F(PickerSurfaceTest, ABodyThatTheGatewayHoldsIsReplacedThere) {
  Add("d", "10.0.0.1:8000");
  const std::pair<std::string, std::string> rewrite = {"x-llm-d-model-name-rewrite", "m"};
  for (const BodyMode mode : {BodyMode::kBuffered, BodyMode::kBufferedPartial}) {
    for (const bool with_length : {true, false}) {
      Open();
      std::vector<std::pair<std::string, std::string>> headers = {{":path", kGenerate}, rewrite};
      if (with_length) headers.emplace_back("Content-Length", "99");
      Say(WithModes(HeadersOf(headers), mode, BodyMode::kStreamed));
      const auto replies = Say(Body(TokensBody(64, "alias"), true));
      ASSERT_THAT(replies, SizeIs(1));
      EXPECT_EQ(PickIn(replies[0]), "10.0.0.1:8000");
      const std::string expected = TokensBody(64, "m");
      EXPECT_EQ(replies[0].request_body().response().body_mutation().body(), expected);
      EXPECT_EQ(Set(replies[0], "content-length"),
                with_length ? std::to_string(expected.size()) : "");
      EXPECT_EQ(bodies_.used(), 0u);
    }
  }
  EXPECT_EQ(Count(Rewrite::kDone), 4u);
}

TEST_F(PickerSurfaceTest, ABodyIsKeptForItsOtherModelWhileItIsRendered) {
  Add("d", "10.0.0.1:8000");
  const std::string messages = R"(","messages":[{"role":"user","content":"hi"}]})";
  Open();
  Say(WithModes(HeadersOf({{":path", kChat}, {"x-llm-d-model-name-rewrite", "m"}}),
                BodyMode::kBuffered, BodyMode::kStreamed));
  EXPECT_THAT(Say(Body(R"({"model":"x)" + messages, true)), IsEmpty());
  ASSERT_TRUE(host_.rendering);
  EXPECT_EQ(Rendered(16)[0].request_body().response().body_mutation().body(),
            R"({"model":"m)" + messages);
  EXPECT_EQ(bodies_.used(), 0u);
}

// Cut anywhere: also within the name, and into empty messages.
TEST_F(PickerSurfaceTest, OfABodyInPiecesThoseWithTheModelAreReplaced) {
  Add("d", "10.0.0.1:8000");
  const std::string body = TokensBody(4, "alias"), expected = TokensBody(4, "longer-name");
  for (size_t first = 0; first <= body.size(); ++first) {
    for (const size_t second : {first, std::min(first + 3, body.size()), body.size()}) {
      Open();
      Say(WithModes(HeadersOf({{":path", kGenerate},
                               {"content-length", std::to_string(body.size())},
                               {"x-llm-d-model-name-rewrite", "longer-name"}}),
                    BodyMode::kStreamed, BodyMode::kStreamed, true));
      const std::string pieces[] = {body.substr(0, first), body.substr(first, second - first),
                                    body.substr(second)};
      EXPECT_THAT(Say(Body(pieces[0], false)), IsEmpty());
      EXPECT_THAT(Say(Body(pieces[1], false)), IsEmpty());
      const auto replies = Say(Body(pieces[2], true));
      ASSERT_THAT(replies, SizeIs(4));
      EXPECT_EQ(Set(replies[0], "content-length"), std::to_string(expected.size()));
      std::string sent;
      for (size_t i = 0; i < 3; ++i) {
        ASSERT_TRUE(replies[i + 1].has_request_body());
        const auto& common = replies[i + 1].request_body().response();
        sent += common.has_body_mutation() ? common.body_mutation().body() : pieces[i];
      }
      EXPECT_EQ(sent, expected) << first << " " << second;
      EXPECT_EQ(bodies_.used(), 0u);
    }
  }
}

TEST_F(PickerSurfaceTest, OnlySheddableRequestsAreRefusedWhenAllAreOverloaded) {
  Start({.sheddable = {"batch"}});
  Add("d", "10.0.0.1:8000", WorkerRole::kDecode, 1);
  EXPECT_NE(PickIn(Ask(TokensBody(8), {{"x-llm-d-inference-objective", "batch"}})[0]), "");
  EXPECT_NE(PickIn(Ask(TokensBody(8), {{"x-llm-d-inference-objective", "chat"}})[0]), "");
  const auto shed = Ask(TokensBody(8), {{"x-gateway-inference-objective", "batch"}});
  ASSERT_TRUE(shed[0].has_immediate_response());
  EXPECT_EQ(shed[0].immediate_response().status().code(), 429);
  EXPECT_EQ(Count(PickOutcome::kShed), 1u);
  EXPECT_EQ(Leases(), 0u + 2u);
}

TEST_F(PickerSurfaceTest, PrioritiesOfObjectivesDecideWhoIsRefused) {
  Publish({{"batch", -1}, {"chat", 0}, {"vip", 9}});
  const auto status = [&](const std::string& objective) {
    const auto replies = Ask(TokensBody(8), {{"x-llm-d-inference-objective", objective}});
    return replies[0].has_immediate_response() ? replies[0].immediate_response().status().code()
                                               : 200;
  };
  Start({});
  Add("d", "10.0.0.1:8000", WorkerRole::kDecode, 1);
  EXPECT_EQ(status("batch"), 200) << "there is room";
  EXPECT_EQ(status("batch"), 429);
  EXPECT_EQ(status("chat"), 200);
  EXPECT_EQ(status("nobody's"), 200);
  EXPECT_EQ(Count(PickOutcome::kShed), 1u);
  Publish({{"batch", 0}, {"vip", 9}});  // the rules of now count
  EXPECT_EQ(status("batch"), 200);
  Start({.overloaded = WhenOverloaded::kRefuse});
  EXPECT_EQ(status("batch"), 429);
  EXPECT_EQ(status("vip"), 200);
  const auto count = [&](ObjectiveClass objective) -> uint64_t {
    return picker_stats_.objectives[static_cast<size_t>(objective)];
  };
  EXPECT_EQ(count(ObjectiveClass::kNegative), 2u);
  EXPECT_EQ(count(ObjectiveClass::kUnknown), 1u);
}

TEST_F(PickerSurfaceTest, RulesNameAnotherModelInTheBody) {
  Publish({}, {{"alias", {{"m", 1}}}, {"m", {{"m", 1}}}});
  Start({});
  Add("d", "10.0.0.1:8000");
  bool end = false;
  EXPECT_EQ(Echo(Ask(TokensBody(64, "alias")), &end), TokensBody(64, "m"));
  EXPECT_EQ(picker_stats_.adapters, 0u) << "it is routed as that model";
  EXPECT_EQ(Count(Rewrite::kDone), 1u);
  EXPECT_EQ(Echo(Ask(TokensBody(64, "m")), &end), TokensBody(64, "m"));
  EXPECT_EQ(Echo(Ask(R"({"token_ids":[1,2]})"), &end), R"({"token_ids":[1,2]})");
  EXPECT_EQ(Count(Rewrite::kDone), 1u) << "neither is another model";
  EXPECT_EQ(Echo(Ask(TokensBody(64, "alias"), {{"x-llm-d-model-name-rewrite", "own"}}), &end),
            TokensBody(64, "own"))
      << "the gateway's word is nearer";
}

TEST_F(PickerSurfaceTest, AGatewayThatBuffersIsAskedForTimeToRender) {
  Start({.message_timeout = milliseconds(2'000)});
  Add("d", "10.0.0.1:8000");
  Say(WithModes(HeadersTo(kChat), BodyMode::kBuffered, BodyMode::kStreamed));
  const auto asked = Say(Body(kChatBody, true));
  ASSERT_THAT(asked, SizeIs(1));
  EXPECT_EQ(asked[0].override_message_timeout().seconds(), 2);
  EXPECT_EQ(asked[0].response_case(), EnvoyResponse::RESPONSE_NOT_SET);
  EXPECT_EQ(host_.deadline, clock_.Monotonic() + milliseconds(1'500));
  EXPECT_THAT(Wait(milliseconds(1'400)), IsEmpty());
  EXPECT_EQ(PickIn(Rendered(64)[0]), "10.0.0.1:8000");
  // A body with tokens needs no time, and full duplex has no limit.
  Open();
  Say(WithModes(HeadersTo(kGenerate), BodyMode::kBuffered, BodyMode::kStreamed));
  EXPECT_THAT(Say(Body(TokensBody(8), true)), SizeIs(1));
  Open();
  Say(HeadersTo(kChat));
  EXPECT_THAT(Say(Body(kChatBody, true)), IsEmpty());
}

TEST_F(PickerSurfaceTest, TheGatewaysTestsChooseTheEndpointAndSeeItServe) {
  Start({.conformance_fixture = true});
  Add("a", "10.0.0.1:8000");
  Add("b", "10.0.0.2:8000");
  for (int i = 0; i < 3; ++i) {
    const auto replies =
        Ask(TokensBody(8), {{"test-epp-endpoint-selection", "10.0.0.9, 10.0.0.2"}});
    EXPECT_EQ(PickIn(replies[0]), "10.0.0.2:8000");
    EXPECT_EQ(Set(replies[0], "x-echo-set-header"),
              "x-conformance-test-served-endpoint:10.0.0.2:8000");
  }
  const auto response = Say(WithServed(Response("200"), "10.0.0.2:8000"));
  EXPECT_EQ(Set(response[0], "x-conformance-test-served-endpoint"), "10.0.0.2:8000");
  EXPECT_NE(PickIn(Ask(TokensBody(8), {{"test-epp-endpoint-selection", "10.9.9.9"}})[0]), "")
      << "none known: all";
  Start({});
  const auto replies = Ask(TokensBody(8), {{"test-epp-endpoint-selection", "10.0.0.2"}});
  EXPECT_EQ(Set(replies[0], "x-echo-set-header"), "") << "a test's switch";
}

}  // namespace
}  // namespace kvroute
