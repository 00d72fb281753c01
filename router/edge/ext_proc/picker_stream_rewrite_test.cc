// Another model in the body than the client's: by a header, or by the cluster's rules.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "test/support/picker_surface_fixture.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class PickerRewriteTest : public PickerSurfaceTest {};

TEST_F(PickerRewriteTest, AHeaderNamesAnotherModelInTheBody) {
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

TEST_F(PickerRewriteTest, ARewriteThatCannotBeDoneIsCountedAndTheRequestRouted) {
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

TEST_F(PickerRewriteTest, ABodyThatTheGatewayHoldsIsReplacedThere) {
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

TEST_F(PickerRewriteTest, ABodyIsKeptForItsOtherModelWhileItIsRendered) {
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

// What the engine will read is what the request is routed as.
TEST_F(PickerRewriteTest, ABodyThatCannotBeReplacedGoesWhereItsOwnModelIs) {
  AddAt("m", "10.0.0.1:8000");
  AddAt("n", "10.0.0.2:8000", 1, "n");
  Publish({}, {{"m", {{"n", 1}}}});
  for (const auto& headers : std::vector<std::vector<std::pair<std::string, std::string>>>{
           {{":path", kGenerate}}, {{":path", kGenerate}, {"x-llm-d-model-name-rewrite", "n"}}}) {
    Open();
    Say(WithModes(HeadersOf(headers), BodyMode::kBufferedPartial, BodyMode::kStreamed));
    EXPECT_EQ(PickIn(Say(Body(TokensBody(64), false))[0]), "10.0.0.1:8000");
    Open();
    Say(WithModes(HeadersOf(headers), BodyMode::kBufferedPartial, BodyMode::kStreamed));
    EXPECT_EQ(PickIn(Say(Body(TokensBody(64), true))[0]), "10.0.0.2:8000");
  }
  EXPECT_EQ(Count(Rewrite::kNotShown), 2u);
  EXPECT_EQ(Count(Rewrite::kDone), 2u);
}

TEST_F(PickerRewriteTest, ABodyThatIsNotShownInTimeIsCounted) {
  Start({.max_body_bytes = 100, .message_timeout = milliseconds(0)});
  Add("d", "10.0.0.1:8000");
  const EnvoyRequest headers =
      HeadersOf({{":path", kGenerate}, {"x-llm-d-model-name-rewrite", "m"}});
  for (const BodyMode mode : {BodyMode::kNone, BodyMode::kStreamed}) {  // in neither it is shown
    Open();
    EXPECT_NE(PickIn(Say(WithModes(headers, mode, BodyMode::kStreamed))[0]), "");
  }
  EXPECT_EQ(Count(Rewrite::kNotShown), 2u);
  Open();  // too long
  Say(WithModes(headers, BodyMode::kStreamed, BodyMode::kStreamed, true));
  EXPECT_THAT(Say(Body(std::string(60, ' '), false)), IsEmpty());
  EXPECT_THAT(Say(Body(std::string(60, ' '), false)), SizeIs(3));
  EXPECT_EQ(Count(Rewrite::kNotShown), 3u);
  Open();  // too late
  Say(WithModes(headers, BodyMode::kFullDuplex, BodyMode::kFullDuplex));
  EXPECT_NE(PickIn(Wait(std::chrono::hours(1))[0]), "");
  EXPECT_EQ(Count(Rewrite::kNotShown), 4u);
  Open();  // has none
  Say(WithModes(HeadersOf({{":path", kGenerate}, {"x-llm-d-model-name-rewrite", "m"}}, true),
                BodyMode::kBuffered, BodyMode::kStreamed));
  EXPECT_EQ(Count(Rewrite::kNotShown), 4u);
}

// Cut anywhere: also within the name, and into empty messages.
TEST_F(PickerRewriteTest, OfABodyInPiecesThoseWithTheModelAreReplaced) {
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

TEST_F(PickerRewriteTest, RulesNameAnotherModelInTheBody) {
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

}  // namespace
}  // namespace kvroute
