// What a request's body and headers decide: limits, refusals, subsets, renders.
#include <string>
#include <vector>

#include "test/support/picker_fixture.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class PickerBodyTest : public PickerTest {
 protected:
  PickerBodyTest() {
    AddAt("a", "10.0.0.1:8000");
    AddAt("b", "10.0.0.2:8000");
    Store("b", Tokens(64));
  }
  std::vector<EnvoyResponse> Ask(const std::string& body, const std::string& path = kGenerate) {
    Open();
    Say(HeadersTo(path));
    return Say(Body(body, true));
  }
  static void ExpectRefusal(const std::vector<EnvoyResponse>& replies, int status,
                            const std::string& code) {
    ASSERT_THAT(replies, SizeIs(1));
    ASSERT_TRUE(replies[0].has_immediate_response());
    EXPECT_EQ(replies[0].immediate_response().status().code(), status);
    EXPECT_THAT(replies[0].immediate_response().body(), HasSubstr("\"code\":\"" + code + "\""));
  }
};

TEST_F(PickerBodyTest, ABodyOverTheLimitGoesByLoadAndThrough) {
  Start({.max_body_bytes = 100});
  Say(HeadersTo(kGenerate));
  EXPECT_THAT(Say(Body(std::string(60, 'x'), false)), IsEmpty());
  const auto replies = Say(Body(std::string(60, 'y'), false));
  EXPECT_NE(PickIn(replies[0]), "");
  bool end = true;
  EXPECT_EQ(Echo(replies, &end), std::string(60, 'x') + std::string(60, 'y'));
  EXPECT_FALSE(end);
  EXPECT_EQ(bodies_.used(), 0u);
  const auto rest = Say(Body("z", true));
  EXPECT_EQ(Echo(rest, &end), "z");
  EXPECT_TRUE(end);
  EXPECT_EQ(Count(NoPrompt::kBodyLimit), 1u);
}

TEST_F(PickerBodyTest, TheLastPieceOverTheLimitIsTheEnd) {
  Start({.max_body_bytes = 100});
  Say(HeadersTo(kGenerate));
  bool end = false;
  EXPECT_EQ(Echo(Say(Body(std::string(101, 'x'), true)), &end).size(), 101u);
  EXPECT_TRUE(end);
  EXPECT_EQ(stream_->state(), PickerState::kSent);
}

TEST_F(PickerBodyTest, ABufferedBodyOverTheLimitGoesByLoad) {
  Start({.max_body_bytes = 100});
  Say(WithModes(HeadersTo(kGenerate), BodyMode::kBuffered, BodyMode::kNone));
  const auto replies = Say(Body(std::string(101, 'x'), true));
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_NE(PickIn(replies[0]), "");
  EXPECT_TRUE(replies[0].has_request_body());
  EXPECT_EQ(Count(NoPrompt::kBodyLimit), 1u);
}

TEST_F(PickerBodyTest, BodiesOfAllTakeNoMoreThanThereIs) {
  ASSERT_TRUE(bodies_.TryTake((uint64_t{64} << 20) - 1'000));
  Say(HeadersTo(kGenerate));
  EXPECT_THAT(Say(Body(std::string(400, 'x'), false)), IsEmpty());
  EXPECT_NE(PickIn(Say(Body(std::string(4'000, 'x'), true))[0]), "");
  EXPECT_EQ(Count(NoPrompt::kBodyMemory), 1u);
  EXPECT_EQ(bodies_.used(), (uint64_t{64} << 20) - 1'000);
  // A stream that is gone gives back what it kept.
  Open();
  Say(HeadersTo(kGenerate));
  Say(Body(std::string(400, 'x'), false));
  EXPECT_GT(bodies_.used(), (uint64_t{64} << 20) - 1'000);
  Close();
  EXPECT_EQ(bodies_.used(), (uint64_t{64} << 20) - 1'000);
}

TEST_F(PickerBodyTest, ABodyThatDoesNotEndGoesByLoadInTime) {
  Say(HeadersTo(kGenerate));
  Say(Body("{", false));
  EXPECT_THAT(Wait(seconds(29)), IsEmpty());
  const auto replies = Wait(seconds(1));
  ASSERT_THAT(replies, SizeIs(2));
  EXPECT_NE(PickIn(replies[0]), "");
  EXPECT_EQ(stream_->state(), PickerState::kPassing);
  EXPECT_THAT(Wait(seconds(100)), IsEmpty());
  EXPECT_EQ(Count(NoPrompt::kBodyTime), 1u);
}

TEST_F(PickerBodyTest, WhatCannotBeReadGoesByLoadOrIsRejected) {
  for (const char* body : {"", "not json", "[1]", "{\"model\":", "{\"model\":\"m\"}"}) {
    EXPECT_NE(PickIn(Ask(body)[0]), "") << body;
  }
  EXPECT_EQ(Count(NoPrompt::kBody), 5u);
  Start({.bad_body = BadBody::kReject});
  ExpectRefusal(Ask("not json"), 400, "invalid_body");
  ExpectRefusal(Ask("{\"model\":\"m\"}"), 400, "invalid_body");
  EXPECT_EQ(Count(PickOutcome::kBadBody), 2u);
  // What nobody could score is no fault of its client.
  EXPECT_NE(PickIn(Ask("anything", "/some/other/path")[0]), "");
}

TEST_F(PickerBodyTest, NobodyToServeIsA503) {
  ASSERT_TRUE(fleet_.SetDraining("a", true).ok());
  ASSERT_TRUE(fleet_.SetDraining("b", true).ok());
  const auto replies = Ask(TokensBody(8));
  ExpectRefusal(replies, 503, "no_ready_endpoint");
  EXPECT_EQ(stream_->state(), PickerState::kRefused);
  EXPECT_THAT(Say(Body("x", true)), IsEmpty());
  EXPECT_THAT(Say(Response("503")), IsEmpty());
  Open();
  ExpectRefusal(Say(HeadersTo("/v1/models", true)), 503, "no_ready_endpoint");
  Open();
  Say(WithModes(HeadersTo(kGenerate), BodyMode::kBuffered, BodyMode::kNone));
  ExpectRefusal(Say(Body(TokensBody(8), true)), 503, "no_ready_endpoint");
  EXPECT_EQ(Count(PickOutcome::kNoEndpoint), 3u);
}

TEST_F(PickerBodyTest, ASubsetRestrictsThePick) {
  const auto ask = [this](const std::string& subset) {
    Open();
    Say(WithSubset(HeadersTo(kGenerate), subset));
    return Say(Body(TokensBody(64), true));
  };
  EXPECT_EQ(PickIn(ask("10.0.0.1:8000")[0]), "10.0.0.1:8000");
  EXPECT_EQ(PickIn(ask("10.0.0.1:8000,10.0.0.2")[0]), "10.0.0.2:8000");
  ExpectRefusal(ask("10.0.0.1:8001"), 503, "no_ready_endpoint");
  ExpectRefusal(ask(""), 503, "no_ready_endpoint");
  ExpectRefusal(ask("who knows"), 503, "no_ready_endpoint");
  EXPECT_EQ(Count(PickOutcome::kEmptySubset), 2u);
  EXPECT_EQ(picker_stats_.unreadable_endpoints, 1u);
}

TEST_F(PickerBodyTest, AllOverloadedIsRoutedUnlessItIsToBeRefused) {
  for (const char* id : {"a", "b"}) ASSERT_TRUE(fleet_.Deregister(id).ok());
  WorkerSpec spec = Spec("full");
  spec.address = "10.0.0.3:8000";
  spec.max_requests_in_flight = 1;
  AddWorker(spec);
  EXPECT_NE(PickIn(Ask(TokensBody(8))[0]), "");
  EXPECT_NE(PickIn(Ask(TokensBody(8))[0]), "");
  Open();
  Say(HeadersOf({{":path", kGenerate}, {"prefer", "if-available"}}));
  ExpectRefusal(Say(Body(TokensBody(8), true)), 412, "overloaded");
  Start({.overloaded = WhenOverloaded::kRefuse});
  const auto replies = Ask(TokensBody(8));
  ExpectRefusal(replies, 429, "overloaded");
  EXPECT_EQ(replies[0].immediate_response().headers().set_headers(1).header().raw_value(),
            "rejected-saturated");
  EXPECT_EQ(Leases(), 2u) << "who is refused is no load";
}

TEST_F(PickerBodyTest, FallbacksFollowThePickAndRanksAreOneEndpoint) {
  AddAt("c", "[fd00::3]:8000", 2);
  Store("c", Tokens(64), 4, 1);
  Start({.fallback_endpoints = 3});
  Open();
  Say(WithSubset(HeadersTo(kGenerate), "10.0.0.1,fd00::3"));
  const auto replies = Say(Body(TokensBody(64), true));
  EXPECT_EQ(PickIn(replies[0]), "[fd00::3]:8000,10.0.0.1:8000");
  const auto& mutation = replies[0].request_headers().response().header_mutation();
  ASSERT_EQ(mutation.set_headers_size(), 2);
  EXPECT_EQ(mutation.set_headers(1).header().key(), "x-data-parallel-rank");
  EXPECT_EQ(mutation.set_headers(1).header().raw_value(), "1");
}

TEST_F(PickerBodyTest, RanksWithEndpointsOfTheirOwnNeedNoHeader) {
  WorkerSpec spec = Spec("c", 2);
  spec.address = "10.0.0.3:8000";
  RankEndpoints second;
  second.rank = 1;
  second.address = "10.0.0.3:8001";
  spec.rank_overrides.push_back(second);
  AddWorker(spec);
  Store("c", Tokens(128), 4, 1);
  const auto replies = Ask(TokensBody(128));
  EXPECT_EQ(PickIn(replies[0]), "10.0.0.3:8001");
  EXPECT_EQ(replies[0].request_headers().response().header_mutation().set_headers_size(), 1);
}

TEST_F(PickerBodyTest, AnAdapterThatAnEngineNamesIsOfItsModel) {
  WorkerSpec spec = Spec("other");
  spec.address = "10.0.0.9:8000";
  spec.model = std::string("n");
  spec.adapters = {"adapter"};
  AddWorker(spec);
  EXPECT_EQ(PickIn(Ask(TokensBody(64, "adapter"))[0]), "10.0.0.9:8000");
  EXPECT_EQ(picker_stats_.adapters, 0u);
}

TEST_F(PickerBodyTest, AClientsOwnSteeringIsTakenOff) {
  Say(HeadersOf({{":path", kGenerate},
                 {"X-Gateway-Destination-Endpoint", "6.6.6.6:1"},
                 {"x-gateway-destination-endpoint-subset", "6.6.6.6:1"},
                 {"X-Prefiller-Host-Port", "6.6.6.6:1"},
                 {"x-tenant-id", "somebody else"},
                 {"x-data-parallel-rank", "7"},
                 {"x-mine", "stays"}}));
  const auto replies = Say(Body(TokensBody(64), true));
  EXPECT_EQ(PickIn(replies[0]), "10.0.0.2:8000");
  std::vector<std::string> removed;
  for (const auto& name :
       replies[0].request_headers().response().header_mutation().remove_headers()) {
    removed.push_back(name);
  }
  EXPECT_THAT(removed, testing::UnorderedElementsAre("x-gateway-destination-endpoint-subset",
                                                     "x-prefiller-host-port", "x-tenant-id",
                                                     "x-data-parallel-rank"));
  EXPECT_EQ(picker_stats_.removed_headers, 4u);
}

TEST_F(PickerBodyTest, AnUnknownModelIsAnAdapterOfTheOnlyOneOrGoesByLoad) {
  EXPECT_NE(PickIn(Ask(TokensBody(64, "adapter"))[0]), "");
  EXPECT_EQ(picker_stats_.adapters, 1u);
  EXPECT_EQ(Count(NoPrompt::kUnknownModel), 0u);
  AddAt("other", "10.0.0.9:8000", 1, "n");
  EXPECT_NE(PickIn(Ask(TokensBody(64, "adapter"))[0]), "");
  EXPECT_EQ(Count(NoPrompt::kUnknownModel), 1u);
  EXPECT_EQ(PickIn(Ask(TokensBody(64, "n"))[0]), "10.0.0.9:8000");
}

TEST_F(PickerBodyTest, ALongBodyIsReadElsewhere) {
  Start({.max_short_body_bytes = 100});
  router_.SetDefaultPolicy(PolicyKind::kPrefix);  // whatever is under way
  const std::string body = TokensBody(64);
  EXPECT_THAT(Ask(body), IsEmpty());
  ASSERT_TRUE(host_.reading);
  EXPECT_EQ(Leases(), 0u);
  auto replies = BodyRead();
  EXPECT_EQ(PickIn(replies[0]), "10.0.0.2:8000");
  bool end = false;
  EXPECT_EQ(Echo(replies, &end), body);
  EXPECT_TRUE(end);
  EXPECT_EQ(bodies_.used(), 0u);
  // What it says is judged as that of any other, and a text is rendered then.
  Ask("{\"model\":\"m\",\"token_ids\":" + std::string(100, '['));
  EXPECT_NE(PickIn(BodyRead()[0]), "");
  EXPECT_EQ(Count(NoPrompt::kBody), 1u);
  Ask(kChatBody + std::string(100, ' '), kChat);
  EXPECT_THAT(BodyRead(), IsEmpty());
  EXPECT_EQ(PickIn(Rendered(64)[0]), "10.0.0.2:8000");
  // Where there is no thread for it, it is read at once.
  host_.can_read_elsewhere = false;
  EXPECT_EQ(PickIn(Ask(body)[0]), "10.0.0.2:8000");
}

TEST_F(PickerBodyTest, ALongBodyThatIsNotReadInTimeGoesByLoad) {
  Start({.max_short_body_bytes = 100});
  Say(WithModes(HeadersTo(kGenerate), BodyMode::kBuffered, BodyMode::kNone));
  EXPECT_THAT(Say(Body(TokensBody(64), true)), IsEmpty());
  EXPECT_THAT(Wait(milliseconds(149)), IsEmpty());
  EXPECT_NE(PickIn(Wait(milliseconds(1))[0]), "");
  EXPECT_FALSE(host_.reading) << "it is not waited for any more";
  EXPECT_EQ(Count(NoPrompt::kBodyTime), 1u);
  EXPECT_THAT(BodyRead(), IsEmpty()) << "it comes too late";
  EXPECT_EQ(Leases(), 1u);
}

TEST_F(PickerBodyTest, AClientThatLeavesWhileItsBodyIsReadLeavesNothing) {
  Start({.max_short_body_bytes = 100});
  Ask(TokensBody(64));
  Close();
  EXPECT_FALSE(host_.reading);
  EXPECT_EQ(loads_.Stats().begun, 0u);
  EXPECT_EQ(Count(PickOutcome::kLeft), 1u);
  EXPECT_EQ(bodies_.used(), 0u);
}

TEST_F(PickerBodyTest, APromptAsTextIsRenderedFirst) {
  EXPECT_THAT(Ask(kChatBody, kChat), IsEmpty());
  EXPECT_TRUE(host_.rendering);
  EXPECT_EQ(host_.rendered_model, "m");
  EXPECT_EQ(host_.deadline, clock_.Monotonic() + seconds(5));
  EXPECT_EQ(Leases(), 0u);
  const auto replies = Rendered(64);
  ASSERT_THAT(replies, SizeIs(2));
  EXPECT_EQ(PickIn(replies[0]), "10.0.0.2:8000");
  bool end = false;
  EXPECT_EQ(Echo(replies, &end), kChatBody);
  EXPECT_EQ(Leases(), 1u);
}

TEST_F(PickerBodyTest, APromptThatIsRememberedIsPickedForAtOnce) {
  RenderedPrompt prompt;
  prompt.token_ids = Tokens(64);
  prompt.cache_salt = "s";
  host_.remembered = std::make_shared<RenderedPrompt>(prompt);
  EXPECT_THAT(Ask(kChatBody, kChat), SizeIs(2));
  EXPECT_FALSE(host_.rendering);
  EXPECT_EQ(host_.rendered_model, "m");
  EXPECT_EQ(picker_stats_.renders[0], 1u);
  prompt.cache_salt.clear();
  host_.remembered = std::make_shared<RenderedPrompt>(prompt);
  EXPECT_EQ(PickIn(Ask(kChatBody, kChat)[0]), "10.0.0.2:8000")
      << "it holds the prompt without salt";
  EXPECT_EQ(Leases(), 2u);
}

TEST_F(PickerBodyTest, WhileAGatewayWaitsARenderHasLessTime) {
  Say(WithModes(HeadersTo(kChat), BodyMode::kBuffered, BodyMode::kNone));
  EXPECT_THAT(Say(Body(kChatBody, false)), IsEmpty());
  EXPECT_EQ(host_.deadline, clock_.Monotonic() + milliseconds(150));
  EXPECT_EQ(bodies_.used(), 0u) << "the renderer has read it";
  EXPECT_THAT(Say(Trailers()), IsEmpty());
  const auto replies = Rendered(64);
  ASSERT_THAT(replies, SizeIs(2));
  EXPECT_EQ(PickIn(replies[0]), "10.0.0.2:8000");
  EXPECT_TRUE(replies[1].has_request_trailers());
}

TEST_F(PickerBodyTest, ARenderThatFailsGoesByLoad) {
  Ask(kChatBody, kChat);
  EXPECT_NE(PickIn(Rendered(0, RenderFailure::kRefused)[0]), "");
  EXPECT_EQ(Count(NoPrompt::kRender), 1u);
  EXPECT_EQ(picker_stats_.renders[static_cast<size_t>(RenderFailure::kRefused)], 1u);
  host_.can_render = false;
  EXPECT_NE(PickIn(Ask(kChatBody, kChat)[0]), "");
  EXPECT_EQ(Count(NoPrompt::kRender), 2u);
}

TEST_F(PickerBodyTest, ARenderThatDoesNotEndIsCancelled) {
  Ask(kChatBody, kChat);
  EXPECT_NE(PickIn(Wait(seconds(5))[0]), "");
  EXPECT_EQ(host_.cancelled, 1);
  EXPECT_EQ(Count(NoPrompt::kRender), 1u);
  EXPECT_THAT(Rendered(64), IsEmpty()) << "it comes too late";
  EXPECT_EQ(Leases(), 1u);
}

TEST_F(PickerBodyTest, AClientThatLeavesDuringARenderTakesItAlong) {
  Ask(kChatBody, kChat);
  Close();
  EXPECT_EQ(host_.cancelled, 1);
  EXPECT_EQ(loads_.Stats().begun, 0u);
  EXPECT_EQ(Count(PickOutcome::kLeft), 1u);
  EXPECT_EQ(bodies_.used(), 0u);
}

// A kvroute that has just been started must not be why a request fails that its proxy could place.
TEST_F(PickerTest, AsLongAsNoEngineWasFoundYetTheProxyChoosesButNotTheClient) {
  Start({.fleet_known = false});
  const auto replies = [&] {
    Open();
    Say(WithModes(
        HeadersOf({{":path", kGenerate}, {"x-gateway-destination-endpoint", "1.2.3.4:5"}}),
        BodyMode::kBuffered, BodyMode::kStreamed));
    return Say(Body(TokensBody(8), true));
  };
  const auto passed = replies();
  ASSERT_THAT(passed, SizeIs(1));
  ASSERT_TRUE(passed[0].has_request_body());
  const auto& mutation = passed[0].request_body().response().header_mutation();
  EXPECT_EQ(mutation.set_headers_size(), 0);
  EXPECT_THAT(mutation.remove_headers(), testing::ElementsAre("x-gateway-destination-endpoint"));
  EXPECT_FALSE(passed[0].has_dynamic_metadata());
  EXPECT_EQ(Count(PickOutcome::kNoneFound), 1u);
  EXPECT_EQ(Leases(), 0u);
  Say(Response("200", true));
  Close();
  picker_->SetFleetKnown(false);
  AddAt("a", "10.0.0.1:8000");  // the first that is found is picked
  EXPECT_EQ(PickIn(replies()[0]), "10.0.0.1:8000");
  Close();
}

TEST_F(PickerTest, OnceAllWasLookedForNoEngineIsARefusal) {
  Start({.fleet_known = false});
  picker_->SetFleetKnown(true);
  picker_->SetFleetKnown(false);  // it stays known
  Open();
  Say(WithModes(HeadersTo(kGenerate), BodyMode::kBuffered, BodyMode::kStreamed));
  const auto refused = Say(Body(TokensBody(8), true));
  ASSERT_THAT(refused, SizeIs(1));
  EXPECT_EQ(refused[0].immediate_response().status().code(), 503);
  Close();
}

}  // namespace
}  // namespace kvroute
