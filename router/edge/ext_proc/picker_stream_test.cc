// The request, in every mode: what is answered when, and where it is sent.
#include <string>
#include <vector>

#include "test/support/picker_fixture.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using testing::IsEmpty;
using testing::SizeIs;

class PickerStreamTest : public PickerTest {
 protected:
  PickerStreamTest() {
    AddAt("a", "10.0.0.1:8000");
    AddAt("b", "http://10.0.0.2:8000");
    Store("b", Tokens(64));
  }
  static EnvoyRequest Headers(BodyMode mode, bool without_waiting = false) {
    return WithModes(HeadersTo(kGenerate), mode, BodyMode::kStreamed, without_waiting);
  }
};

TEST_F(PickerStreamTest, FullDuplexAnswersHeadersAndBodyOnceTheBodyHasEnded) {
  const std::string body = TokensBody(64);
  EXPECT_THAT(Say(Headers(BodyMode::kFullDuplex)), IsEmpty());
  EXPECT_THAT(Say(Body(body.substr(0, 10), false)), IsEmpty());
  EXPECT_THAT(Say(Body("", false)), IsEmpty());
  const auto replies = Say(Body(body.substr(10), true));
  ASSERT_THAT(replies, SizeIs(2));
  ASSERT_TRUE(replies[0].has_request_headers());
  EXPECT_EQ(PickIn(replies[0]), "10.0.0.2:8000");
  EXPECT_TRUE(replies[0].request_headers().response().clear_route_cache());
  EXPECT_EQ(replies[0]
                .dynamic_metadata()
                .fields()
                .at("envoy.lb")
                .struct_value()
                .fields()
                .at("x-gateway-destination-endpoint")
                .string_value(),
            "10.0.0.2:8000");
  bool end = false;
  EXPECT_EQ(Echo(replies, &end), body);
  EXPECT_TRUE(end);
  EXPECT_EQ(stream_->state(), PickerState::kSent);
  EXPECT_EQ(Leases(), 1u);
  EXPECT_EQ(bodies_.used(), 0u);
}

TEST_F(PickerStreamTest, WithoutAWordAboutModesItIsFullDuplex) {
  EXPECT_THAT(Say(HeadersTo(kGenerate)), IsEmpty());
  EXPECT_THAT(Say(Body(TokensBody(64), true)), SizeIs(2));
}

TEST_F(PickerStreamTest, AnEmptyBodyIsOneEmptyPiece) {
  Say(Headers(BodyMode::kFullDuplex));
  const auto replies = Say(Body("", true));
  ASSERT_THAT(replies, SizeIs(2));
  EXPECT_NE(PickIn(replies[0]), "");
  bool end = false;
  EXPECT_EQ(Echo(replies, &end), "");
  EXPECT_TRUE(end);
  EXPECT_EQ(Count(NoPrompt::kBody), 1u);
}

TEST_F(PickerStreamTest, TrailersEndABodyWhoseEndWasNotSaid) {
  const std::string body = TokensBody(64);
  Say(Headers(BodyMode::kFullDuplex));
  EXPECT_THAT(Say(Body(body, false)), IsEmpty());
  const auto replies = Say(Trailers());
  ASSERT_THAT(replies, SizeIs(3));
  EXPECT_EQ(PickIn(replies[0]), "10.0.0.2:8000");
  bool end = true;
  EXPECT_EQ(Echo(replies, &end), body);
  EXPECT_FALSE(end) << "the trailers are the end";
  EXPECT_TRUE(replies[2].has_request_trailers());
}

TEST_F(PickerStreamTest, WhatComesAfterTheEndIsIgnored) {
  Say(Headers(BodyMode::kFullDuplex));
  Say(Body(TokensBody(64), true));
  EXPECT_THAT(Say(Body("again", true)), IsEmpty());
  EXPECT_THAT(Say(Headers(BodyMode::kFullDuplex)), IsEmpty());
  EXPECT_THAT(Say(Trailers()), IsEmpty());
  EXPECT_EQ(picker_stats_.unexpected_messages, 3u);
  EXPECT_EQ(Leases(), 1u);
}

TEST_F(PickerStreamTest, BufferedAnswersHeadersAtOnceAndPicksInTheBody) {
  for (const BodyMode mode : {BodyMode::kBuffered, BodyMode::kBufferedPartial}) {
    Open();
    const auto headers = Say(Headers(mode));
    ASSERT_THAT(headers, SizeIs(1));
    EXPECT_TRUE(headers[0].has_request_headers());
    EXPECT_EQ(PickIn(headers[0]), "");
    const auto body = Say(Body(TokensBody(64), true));
    ASSERT_THAT(body, SizeIs(1));
    ASSERT_TRUE(body[0].has_request_body());
    EXPECT_EQ(PickIn(body[0]), "10.0.0.2:8000");
    EXPECT_FALSE(body[0].request_body().response().has_body_mutation());
    EXPECT_TRUE(body[0].request_body().response().clear_route_cache());
    EXPECT_THAT(Say(Body("a second time", true)), IsEmpty());
    Close();
  }
}

TEST_F(PickerStreamTest, ABufferedBodyIsWholeWhetherItsEndIsSaidOrNot) {
  Say(Headers(BodyMode::kBuffered));
  const auto body = Say(Body(TokensBody(64), false));
  ASSERT_THAT(body, SizeIs(1));
  EXPECT_EQ(PickIn(body[0]), "10.0.0.2:8000");
  const auto trailers = Say(Trailers());
  ASSERT_THAT(trailers, SizeIs(1));
  EXPECT_TRUE(trailers[0].has_request_trailers());
  EXPECT_THAT(Say(Trailers()), IsEmpty());
}

TEST_F(PickerStreamTest, ACutBodyGoesByLoad) {
  Start({.bad_body = BadBody::kReject});
  Say(Headers(BodyMode::kBufferedPartial));
  const auto body = Say(Body(TokensBody(64).substr(0, 50), false));
  ASSERT_THAT(body, SizeIs(1));
  EXPECT_NE(PickIn(body[0]), "");
  EXPECT_EQ(Count(NoPrompt::kBody), 1u);
}

TEST_F(PickerStreamTest, ABufferedBodyWithoutHeadersIsPickedForAllTheSame) {
  const auto body = Say(WithModes(Body("{}", true), BodyMode::kBuffered, BodyMode::kNone));
  ASSERT_THAT(body, SizeIs(1));
  EXPECT_NE(PickIn(body[0]), "");
}

TEST_F(PickerStreamTest, StreamedWithoutWaitingHoldsTheHeadersUntilTheBodyHasEnded) {
  const std::string body = TokensBody(64);
  EXPECT_THAT(Say(Headers(BodyMode::kStreamed, true)), IsEmpty());
  EXPECT_THAT(Say(Body(body.substr(0, 9), false)), IsEmpty());
  EXPECT_THAT(Say(Body(body.substr(9), false)), IsEmpty());
  const auto replies = Say(Body("", true));
  ASSERT_THAT(replies, SizeIs(4));
  EXPECT_EQ(PickIn(replies[0]), "10.0.0.2:8000");
  for (size_t i = 1; i < 4; ++i) {
    ASSERT_TRUE(replies[i].has_request_body());
    EXPECT_FALSE(replies[i].request_body().response().has_body_mutation());
  }
}

TEST_F(PickerStreamTest, StreamedThatIsNotAnsweredInTimeGoesByLoad) {
  Say(Headers(BodyMode::kStreamed, true));
  Say(Body("{", false));
  EXPECT_THAT(Wait(milliseconds(40)), IsEmpty());
  const auto replies = Wait(milliseconds(60));
  ASSERT_THAT(replies, SizeIs(2));
  EXPECT_NE(PickIn(replies[0]), "");
  EXPECT_EQ(Count(NoPrompt::kBodyTime), 1u);
  EXPECT_THAT(Say(Body("}", true)), SizeIs(1));
  EXPECT_EQ(stream_->state(), PickerState::kSent);
}

TEST_F(PickerStreamTest, WhereTheBodyComesTooLateTheHeadersAreAnsweredByLoad) {
  for (const BodyMode mode : {BodyMode::kStreamed, BodyMode::kNone, BodyMode::kGrpc}) {
    Open();
    const auto headers = Say(Headers(mode));
    ASSERT_THAT(headers, SizeIs(1));
    EXPECT_NE(PickIn(headers[0]), "");
    EXPECT_EQ(stream_->state(),
              mode == BodyMode::kNone ? PickerState::kBodyDone : PickerState::kPassing);
    Close();
  }
  EXPECT_EQ(Count(NoPrompt::kNotShown), 3u);
}

TEST_F(PickerStreamTest, WhatFollowsIsPassedAsItsModeWants) {
  Say(Headers(BodyMode::kStreamed));
  auto replies = Say(Body("abc", false));
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_FALSE(replies[0].request_body().response().has_body_mutation());
  EXPECT_THAT(Say(Trailers()), SizeIs(1));
  Open();
  Say(Headers(BodyMode::kGrpc));
  replies = Say(Body(std::string(150'000, 'x'), true));
  EXPECT_THAT(replies, SizeIs(3));
  bool end = false;
  EXPECT_EQ(Echo(replies, &end).size(), 150'000u);
  EXPECT_TRUE(end);
}

TEST_F(PickerStreamTest, ARequestWithoutABodyIsPickedForAtOnceAndIsNoLoad) {
  for (const BodyMode mode :
       {BodyMode::kFullDuplex, BodyMode::kBuffered, BodyMode::kStreamed, BodyMode::kNone}) {
    Open();
    const auto replies =
        Say(WithModes(HeadersTo("/v1/models", true), mode, BodyMode::kStreamed, true));
    ASSERT_THAT(replies, SizeIs(1));
    EXPECT_NE(PickIn(replies[0]), "");
    EXPECT_EQ(stream_->state(), PickerState::kSent);
    Close();
  }
  EXPECT_EQ(Count(NoPrompt::kNone), 4u);
  EXPECT_EQ(loads_.Stats().begun, 0u);
}

TEST_F(PickerStreamTest, InObservabilityModeNothingIsAnswered) {
  EnvoyRequest message = HeadersTo(kGenerate);
  message.set_observability_mode(true);
  EXPECT_THAT(Say(message), IsEmpty());
  EXPECT_TRUE(stream_->done());
  EXPECT_THAT(Say(Response("200")), IsEmpty());
  Close();
  EXPECT_EQ(Count(PickOutcome::kObserved), 1u);
  EXPECT_EQ(loads_.Stats().begun, 0u);
}

TEST_F(PickerStreamTest, APieceWithoutHeadersIsPassedOnWithoutAPick) {
  const auto replies = Say(Body("abc", true));
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_EQ(replies[0].request_body().response().body_mutation().streamed_response().body(), "abc");
  EXPECT_EQ(Count(PickOutcome::kNoHeaders), 1u);
}

TEST_F(PickerStreamTest, AnEmptyMessageIsIgnored) {
  EXPECT_THAT(Say(EnvoyRequest()), IsEmpty());
  EXPECT_THAT(Say(Body(TokensBody(64), true)), SizeIs(1));  // modes were said by the first
}

TEST_F(PickerStreamTest, BeyondTheLimitOfStreamsARequestIsRefused) {
  Open();
  stream_->RefuseForRoom();
  const auto replies = Say(Headers(BodyMode::kFullDuplex));
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_EQ(replies[0].immediate_response().status().code(), 503);
  EXPECT_THAT(Say(Body("x", true)), IsEmpty());
  EXPECT_EQ(Count(PickOutcome::kStreams), 1u);
}

}  // namespace
}  // namespace kvroute
