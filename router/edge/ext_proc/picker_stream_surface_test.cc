// What a pick says beside the endpoint: who computes the prompt, scores; who is refused; and what
// the gateways' conformance tests ask.
#include <algorithm>
#include <string>
#include <vector>

#include "test/support/picker_surface_fixture.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

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
