// The response: what is answered, and what becomes of the lease.
#include <string>
#include <tuple>
#include <vector>

#include "test/support/picker_fixture.h"

namespace kvroute {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

class PickerResponseTest : public PickerTest {
 protected:
  PickerResponseTest() { AddAt("a", "10.0.0.1:8000"); }
  // A request that has been picked for, in these modes.
  void Pick(BodyMode request, BodyMode response) {
    Open();
    Say(WithModes(HeadersTo(kGenerate), request, response));
    if (request != BodyMode::kNone) Say(Body(TokensBody(40), true));
    ASSERT_EQ(Leases(), 1u);
    ASSERT_EQ(Outstanding() > 0, true);
  }
  uint64_t Outstanding(const std::string& worker = "a") const {
    const auto fleet = fleet_.Snapshot();
    return fleet->targets[*fleet->FindTarget(worker, 0)].load->uncached_tokens_outstanding;
  }
  uint32_t InFlight(const std::string& worker) const {
    const auto fleet = fleet_.Snapshot();
    return fleet->targets[*fleet->FindTarget(worker, 0)].load->requests_in_flight;
  }
};

TEST_F(PickerResponseTest, FullDuplexIsEchoedPieceByPiece) {
  Pick(BodyMode::kFullDuplex, BodyMode::kFullDuplex);
  const auto headers = Say(Response("200"));
  ASSERT_THAT(headers, SizeIs(1));
  EXPECT_TRUE(headers[0].has_response_headers());
  const auto piece = Say(ResponseBody("data: 1\n\n", false));
  ASSERT_THAT(piece, SizeIs(1));
  const auto& echo = piece[0].response_body().response().body_mutation().streamed_response();
  EXPECT_EQ(echo.body(), "data: 1\n\n");
  EXPECT_FALSE(echo.end_of_stream());
  EXPECT_THAT(Say(ResponseBody("", false)), IsEmpty());
  const auto last = Say(ResponseBody("", true));
  ASSERT_THAT(last, SizeIs(1));
  EXPECT_TRUE(
      last[0].response_body().response().body_mutation().streamed_response().end_of_stream());
  EXPECT_THAT(Say(ResponseTrailers()), IsEmpty()) << "the response is over";
}

TEST_F(PickerResponseTest, EveryOtherModeIsAnsweredWithNothing) {
  for (const BodyMode mode :
       {BodyMode::kStreamed, BodyMode::kBuffered, BodyMode::kBufferedPartial, BodyMode::kNone}) {
    Pick(BodyMode::kBuffered, mode);
    EXPECT_THAT(Say(Response("200")), SizeIs(1));
    const auto piece = Say(ResponseBody("abc", false));
    ASSERT_THAT(piece, SizeIs(1));
    EXPECT_FALSE(piece[0].response_body().response().has_body_mutation());
    const auto trailers = Say(ResponseTrailers());
    ASSERT_THAT(trailers, SizeIs(1));
    EXPECT_TRUE(trailers[0].has_response_trailers());
    EXPECT_EQ(Leases(), 0u);
    Close();
  }
}

TEST_F(PickerResponseTest, TheFirstByteIsThePrefillsEndAndTheLastTheLeases) {
  Pick(BodyMode::kFullDuplex, BodyMode::kFullDuplex);
  EXPECT_EQ(Outstanding(), 40u);
  Say(Response("200"));
  Say(ResponseBody("", false));
  EXPECT_EQ(Outstanding(), 40u);
  Say(ResponseBody("d", false));
  EXPECT_EQ(Outstanding(), 0u);
  EXPECT_EQ(Leases(), 1u);
  Say(ResponseBody("d", true));
  EXPECT_EQ(Leases(), 0u);
  Close();
  EXPECT_EQ(loads_.Stats().ended, 1u);
}

TEST_F(PickerResponseTest, WithoutABodyTheHeadersAreTheEnd) {
  Pick(BodyMode::kFullDuplex, BodyMode::kFullDuplex);
  Say(Response("204", true));
  EXPECT_EQ(Leases(), 0u);
  EXPECT_EQ(picker_stats_.responses[2], 1u);
}

TEST_F(PickerResponseTest, WhereTheBodyIsNotShownTheHeadersAreThePrefillsEnd) {
  Pick(BodyMode::kBuffered, BodyMode::kNone);
  Say(Response("200"));
  EXPECT_EQ(Outstanding(), 0u);
  EXPECT_EQ(Leases(), 1u);
  Close();
  EXPECT_EQ(Leases(), 0u);
}

// What a close says of a response that has not ended, by how both bodies are shown.
TEST_F(PickerResponseTest, ACloseEndsTheLeaseWhereItComesWithTheResponsesEnd) {
  using enum BodyMode;
  for (const auto& [request, response, headers_came, ends] :
       std::vector<std::tuple<BodyMode, BodyMode, bool, bool>>{
           {kFullDuplex, kFullDuplex, false, true},
           {kFullDuplex, kFullDuplex, true, true},
           {kFullDuplex, kStreamed, false, true},
           {kFullDuplex, kNone, false, false},
           {kFullDuplex, kNone, true, false},
           {kNone, kNone, false, false},
           {kNone, kStreamed, true, true},
           {kBuffered, kNone, false, true},
           {kBuffered, kNone, true, true},
           {kBufferedPartial, kStreamed, false, true}}) {
    Open();
    Say(WithModes(HeadersTo(kGenerate), request, response));
    if (request != kNone) Say(Body(TokensBody(40), true));
    if (headers_came) Say(Response("200"));
    const uint64_t left = picker_stats_.leases_left;
    Close();
    EXPECT_EQ(Leases(), ends ? 0u : 1u)
        << kBodyModeNames[request] << " " << kBodyModeNames[response];
    EXPECT_EQ(picker_stats_.leases_left - left, ends ? 0u : 1u);
    clock_.Advance(std::chrono::hours(1));
    loads_.Sweep();
    EXPECT_EQ(Leases(), 0u);
  }
}

TEST_F(PickerResponseTest, ALeaseGoesWhereTheRequestWasServed) {
  AddAt("b", "10.0.0.2:8000");
  Pick(BodyMode::kFullDuplex, BodyMode::kFullDuplex);
  const bool to_a = InFlight("a") == 1;
  const std::string other = to_a ? "10.0.0.2:8000" : "10.0.0.1:8000";
  Say(WithServed(Response("200"), other));
  EXPECT_EQ(InFlight(to_a ? "b" : "a"), 1u);
  EXPECT_EQ(InFlight(to_a ? "a" : "b"), 0u);
  Say(WithServed(ResponseBody("x", true), other));
  EXPECT_EQ(Leases(), 0u);
  EXPECT_EQ(picker_stats_.served_elsewhere, 1u);
}

TEST_F(PickerResponseTest, ServedWherePickedMovesNothing) {
  Pick(BodyMode::kFullDuplex, BodyMode::kFullDuplex);
  Say(WithServed(Response("200"), "10.0.0.1:8000"));
  EXPECT_EQ(picker_stats_.served_elsewhere, 0u);
  Open();
  Say(WithModes(HeadersTo(kGenerate), BodyMode::kFullDuplex, BodyMode::kFullDuplex));
  Say(Body(TokensBody(40), true));
  Say(WithServed(Response("200"), "no endpoint at all"));
  EXPECT_EQ(picker_stats_.served_elsewhere, 1u);
}

// Another filter of the proxy may answer before the body has ended.
TEST_F(PickerResponseTest, AResponseBeforeTheBodysEndIsAnswered) {
  Say(WithModes(HeadersTo(kGenerate), BodyMode::kFullDuplex, BodyMode::kFullDuplex));
  Say(Body("{", false));
  EXPECT_THAT(Say(Response("200")), SizeIs(1));
  EXPECT_THAT(Say(ResponseBody("x", true)), SizeIs(1));
  EXPECT_THAT(Say(Body("}", true)), SizeIs(2));
  EXPECT_EQ(Leases(), 1u);
  Close();
  EXPECT_EQ(Leases(), 0u);
}

TEST_F(PickerResponseTest, AResponseAloneIsAnswered) {
  EXPECT_THAT(Say(Response("200")), SizeIs(1));
  EXPECT_THAT(Say(ResponseBody("x", true)), SizeIs(1));
  Close();
  EXPECT_EQ(Count(PickOutcome::kLeft), 1u);
}

}  // namespace
}  // namespace kvroute
