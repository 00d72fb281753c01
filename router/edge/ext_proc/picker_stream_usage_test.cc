// What a response says that its engine served.
#include <string>

#include "indexer/base/limits.h"
#include "test/support/picker_fixture.h"

namespace kvroute {
namespace {

constexpr char kUsageJson[] =
    R"({"choices":[{"text":"a"}],"usage":{"prompt_tokens":40,"completion_tokens":2,)"
    R"("prompt_tokens_details":{"cached_tokens":36}}})";

EnvoyRequest ResponseOf(const std::string& status, const std::string& type,
                        const std::string& encoding = "") {
  EnvoyRequest message = Response(status);
  auto* headers = message.mutable_response_headers()->mutable_headers();
  const auto add = [&](const std::string& name, const std::string& value) {
    auto* header = headers->add_headers();
    header->set_key(name);
    header->set_raw_value(value);
  };
  add("Content-Type", type);
  if (!encoding.empty()) add("content-encoding", encoding);
  return message;
}

class PickerUsageTest : public PickerTest {
 protected:
  PickerUsageTest() {
    AddAt("a", "10.0.0.1:8000");
    Store("a", Tokens(40));
  }
  void Pick(BodyMode response = BodyMode::kFullDuplex) {
    Open();
    Say(WithModes(HeadersTo(kGenerate), BodyMode::kFullDuplex, response));
    Say(Body(TokensBody(40), true));
    ASSERT_EQ(Leases(), 1u);
  }
  // The lease's end has been counted so, and only so.
  void ExpectEnd(UsageEnd end) {
    EXPECT_EQ(Leases(), 0u);
    for (size_t i = 0; i < kUsageEndNames.size(); ++i) {
      EXPECT_EQ(stats_.audit.answers[i], i == static_cast<size_t>(end) ? 1u : 0u)
          << kUsageEndNames[static_cast<UsageEnd>(i)];
    }
    EXPECT_EQ(bodies_.used(), 0u);
  }
  void ExpectCompared() {
    ExpectEnd(UsageEnd::kFound);
    const auto& exact = stats_.audit.by_trust[static_cast<size_t>(Trust::kExact)];
    EXPECT_EQ(exact.predicted_tokens, 36u) << "less the last token's block of 4";
    EXPECT_EQ(exact.cached_tokens, 36u);
    EXPECT_EQ(stats_.audit.output_tokens, 2u);
  }
};

TEST_F(PickerUsageTest, OfJsonInEveryModeThatShowsIt) {
  for (const BodyMode mode : {BodyMode::kFullDuplex, BodyMode::kStreamed, BodyMode::kBuffered}) {
    for (size_t cut = 0; cut < sizeof(kUsageJson); cut += 13) {
      for (auto& counter : stats_.audit.answers) counter = 0;
      for (auto& trust : stats_.audit.by_trust) trust.predicted_tokens = trust.cached_tokens = 0;
      stats_.audit.output_tokens = 0;
      Pick(mode);
      Say(ResponseOf("200", "application/json"));
      const std::string body = kUsageJson;
      Say(ResponseBody(body.substr(0, cut), false));
      Say(ResponseBody(body.substr(cut), true));
      Close();
      ExpectCompared();
    }
  }
}

TEST_F(PickerUsageTest, OfAStreamThatEndsWithTrailers) {
  Pick();
  Say(ResponseOf("200", "text/event-stream"));
  Say(ResponseBody("data: {\"choices\":[{\"text\":\"a\"}],\"usage\":null}\n\ndata: {\"choices\":",
                   false));
  Say(ResponseBody(R"([],"usage":{"prompt_tokens":40,"completion_tokens":2,"prompt_tok)", false));
  Say(ResponseBody("ens_details\":{\"cached_tokens\":36}}}\n\ndata: [DONE]\n\n", false));
  EXPECT_EQ(Leases(), 1u);
  Say(ResponseTrailers());
  ExpectCompared();
}

TEST_F(PickerUsageTest, WhatBreaksOffBehindTheUsageCountsAndBeforeItDoesNot) {
  Pick();
  Say(ResponseOf("200", "text/event-stream"));
  Say(ResponseBody("data: {\"choices\":[{\"text\":\"a\"}]}\n\n", false));
  Close();
  ExpectEnd(UsageEnd::kCut);
  stats_.audit.answers[static_cast<size_t>(UsageEnd::kCut)] = 0;
  Pick();
  Say(ResponseOf("200", "text/event-stream"));
  Say(ResponseBody(std::string("data: ") + kUsageJson + "\n\n", false));
  Close();
  ExpectCompared();
}

TEST_F(PickerUsageTest, WhyThereIsNone) {
  struct Case {
    const char* status;
    const char* type;
    const char* encoding;
    std::string body;
    UsageEnd end;
  };
  for (const Case& c : {Case{"200", "application/json", "", "{\"choices\":[]}", UsageEnd::kAbsent},
                        Case{"200", "application/json", "gzip", kUsageJson, UsageEnd::kCompressed},
                        Case{"200", "text/html", "", kUsageJson, UsageEnd::kOtherType},
                        Case{"500", "application/json", "", kUsageJson, UsageEnd::kFailed},
                        Case{"404", "application/json", "", "{\"error\":{}}", UsageEnd::kFailed},
                        Case{"200", "text/event-stream", "",
                             "data: " + std::string(limits::kMaxUsageTailBytes + 1, 'x') + "\n",
                             UsageEnd::kTooLong}}) {
    for (auto& counter : stats_.audit.answers) counter = 0;
    Pick();
    Say(ResponseOf(c.status, c.type, c.encoding));
    Say(ResponseBody(c.body, true));
    ExpectEnd(c.end);
    Close();
  }
}

TEST_F(PickerUsageTest, WhereTheProxyShowsNoBodyNothingIsRead) {
  Open();
  Say(WithModes(HeadersTo(kGenerate), BodyMode::kBuffered, BodyMode::kNone));
  Say(Body(TokensBody(40), true));
  Say(ResponseOf("200", "application/json"));
  Close();
  ExpectEnd(UsageEnd::kNotShown);
}

TEST_F(PickerUsageTest, WhereTheResponseIsSkippedItIsNotShownEither) {
  Open();
  Say(WithModes(HeadersTo(kGenerate), BodyMode::kBuffered, BodyMode::kNone));
  Say(Body(TokensBody(40), true));
  Close();
  ExpectEnd(UsageEnd::kNotShown);
}

TEST_F(PickerUsageTest, AResponseOfHeadersAloneHasNone) {
  Pick();
  Say(Response("204", true));
  ExpectEnd(UsageEnd::kAbsent);
  Close();
}

TEST_F(PickerUsageTest, WithoutMemoryTheResponseGoesThroughUnread) {
  Pick();
  ASSERT_TRUE(bodies_.TryTake(bodies_.limit() - 100));
  Say(ResponseOf("200", "application/json"));
  const std::string piece(1'000, ' ');
  const auto sent = Say(ResponseBody(piece, false));
  ASSERT_THAT(sent, testing::SizeIs(1));
  EXPECT_EQ(sent[0].response_body().response().body_mutation().streamed_response().body(), piece);
  Say(ResponseBody(kUsageJson, true));
  bodies_.GiveBack(bodies_.limit() - 100);
  ExpectEnd(UsageEnd::kMemory);
  Close();
}

TEST_F(PickerUsageTest, AnAnswerThatHoldsNoLeaseIsNotRead) {
  Open();
  Say(WithModes(HeadersTo("/v1/models", true), BodyMode::kFullDuplex, BodyMode::kFullDuplex));
  Say(ResponseOf("200", "application/json"));
  Say(ResponseBody(kUsageJson, true));
  Close();
  for (const auto& counter : stats_.audit.answers) EXPECT_EQ(counter, 0u);
}

}  // namespace
}  // namespace kvroute
