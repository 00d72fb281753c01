#include "router/edge/ext_proc/reply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "kvroute/envoy/external_processor.pb.h"
#include "router/edge/ext_proc/request_headers.h"

namespace kvroute {
namespace {

using ParsedReply = ::envoy::service::ext_proc::v3::ProcessingResponse;
using testing::ElementsAre;
using testing::IsEmpty;

std::string BytesOf(const Reply& reply) {
  std::string bytes = "what was there before";
  WriteReplyHead(reply, &bytes);
  if (reply.form != BodyForm::kAsItIs) {
    for (const std::string_view piece : reply.body) bytes.append(piece);
  }
  bytes.append(ReplyTail(reply));
  return bytes;
}
std::string HexOf(const Reply& reply) { return absl::BytesToHexString(BytesOf(reply)); }

ParsedReply Parsed(const Reply& reply) {
  ParsedReply response;
  EXPECT_TRUE(response.ParseFromString(BytesOf(reply)));
  return response;
}

constexpr char kPickBehindItsKind[] =
    "3b0a3912350a330a2f0a1e782d676174657761792d64657374696e6174696f6e2d656e64706f696e741a0d31302e30"
    "2e302e373a383030301802280142430a410a08656e766f792e6c6212352a330a310a1e782d676174657761792d6465"
    "7374696e6174696f6e2d656e64706f696e74120f1a0d31302e302e302e373a38303030";

TEST(ReplyTest, APickIsTheVectorsBytes) {
  const Pick pick{.endpoints = "10.0.0.7:8000", .rank = {}, .lease = "x"};
  EXPECT_EQ(HexOf({.kind = Reply::Kind::kRequestHeaders, .pick = &pick}),
            absl::StrCat("0a", kPickBehindItsKind));
  EXPECT_EQ(HexOf({.kind = Reply::Kind::kRequestBody, .pick = &pick}),
            absl::StrCat("1a", kPickBehindItsKind));
}

TEST(ReplyTest, AnEchoIsTheVectorsBytes) {
  const std::string_view pieces[] = {"h", "i"};
  const Reply echo{.kind = Reply::Kind::kRequestBody,
                   .form = BodyForm::kStreamed,
                   .body = pieces,
                   .end_of_stream = true};
  EXPECT_EQ(HexOf(echo), "1a0c0a0a1a081a060a0268691001");
}

TEST(ReplyTest, EchoesOfEveryLengthReadBack) {
  for (const size_t size : {0, 1, 100, 110, 117, 118, 119, 120, 121, 122, 123, 124, 127, 128,
                            16'370, 16'380, 16'384, 62'000, 2'097'152}) {
    for (const bool last : {false, true}) {
      const std::string body(size, 'b');
      const std::string_view pieces[] = {std::string_view(body).substr(0, size / 3),
                                         std::string_view(body).substr(size / 3)};
      const auto response = Parsed({.kind = Reply::Kind::kResponseBody,
                                    .form = BodyForm::kStreamed,
                                    .body = pieces,
                                    .end_of_stream = last});
      const auto& mutation = response.response_body().response().body_mutation();
      ASSERT_TRUE(mutation.has_streamed_response());
      EXPECT_EQ(mutation.streamed_response().body(), body);
      EXPECT_EQ(mutation.streamed_response().end_of_stream(), last);
      EXPECT_TRUE(response.GetReflection()->GetUnknownFields(response).empty());
    }
  }
}

TEST(ReplyTest, ABodyIsReplacedBesideAPick) {
  const Pick pick{.endpoints = "10.0.0.7:8000", .rank = {}, .lease = ""};
  for (const size_t size : {1, 60, 127, 128, 16'384, 2'097'152}) {
    const std::string body(size, 'b');
    const std::string_view pieces[] = {std::string_view(body).substr(0, size / 2),
                                       std::string_view(body).substr(size / 2)};
    const auto response = Parsed({.kind = Reply::Kind::kRequestBody,
                                  .pick = &pick,
                                  .form = BodyForm::kReplaced,
                                  .body = pieces,
                                  .content_length = size});
    const auto& common = response.request_body().response();
    EXPECT_EQ(common.body_mutation().body(), body);
    EXPECT_TRUE(common.clear_route_cache());
    ASSERT_EQ(common.header_mutation().set_headers_size(), 2);
    EXPECT_EQ(common.header_mutation().set_headers(1).header().key(), "content-length");
    EXPECT_EQ(common.header_mutation().set_headers(1).header().raw_value(), std::to_string(size));
    EXPECT_TRUE(response.has_dynamic_metadata());
    EXPECT_TRUE(response.GetReflection()->GetUnknownFields(response).empty());
  }
}

TEST(ReplyTest, APieceIsReplacedAloneOrLeftOut) {
  const std::string_view pieces[] = {"a", "bc"};
  const auto replaced =
      Parsed({.kind = Reply::Kind::kRequestBody, .form = BodyForm::kReplaced, .body = pieces});
  EXPECT_EQ(replaced.request_body().response().body_mutation().body(), "abc");
  EXPECT_FALSE(replaced.request_body().response().has_header_mutation());
  const auto cleared = Parsed({.kind = Reply::Kind::kRequestBody, .form = BodyForm::kReplaced});
  EXPECT_TRUE(cleared.request_body().response().body_mutation().clear_body());
}

TEST(ReplyTest, AnEmptyAnswerIsOfItsKind) {
  EXPECT_EQ(HexOf({.kind = Reply::Kind::kRequestHeaders}), "0a00");
  EXPECT_EQ(HexOf({.kind = Reply::Kind::kResponseHeaders}), "1200");
  EXPECT_EQ(HexOf({.kind = Reply::Kind::kRequestBody}), "1a00");
  EXPECT_EQ(HexOf({.kind = Reply::Kind::kResponseBody}), "2200");
  EXPECT_EQ(HexOf({.kind = Reply::Kind::kRequestTrailers}), "2a00");
  EXPECT_EQ(HexOf({.kind = Reply::Kind::kResponseTrailers}), "3200");
}

// A mutation of more than 127 bytes: lengths grow by a byte at every level.
TEST(ReplyTest, APickNamesRankAndWhatIsRemoved) {
  const Pick pick{.endpoints = "10.0.0.7:8000,[fd00::8]:8000", .rank = 3, .lease = ""};
  const uint32_t all = (1u << kRemovedHeaders.size()) - 1;
  const auto response =
      Parsed({.kind = Reply::Kind::kRequestHeaders, .pick = &pick, .to_remove = all});
  const auto& common = response.request_headers().response();
  EXPECT_TRUE(common.clear_route_cache());
  ASSERT_EQ(common.header_mutation().set_headers_size(), 2);
  for (const auto& set : common.header_mutation().set_headers()) {
    EXPECT_EQ(set.append_action(), 2) << "a client's own would survive";
    EXPECT_TRUE(set.header().value().empty());
  }
  EXPECT_EQ(common.header_mutation().set_headers(0).header().raw_value(), pick.endpoints);
  EXPECT_EQ(common.header_mutation().set_headers(1).header().key(), "x-data-parallel-rank");
  EXPECT_EQ(common.header_mutation().set_headers(1).header().raw_value(), "3");
  // The rank's is set, so it is not removed as well.
  EXPECT_EQ(common.header_mutation().remove_headers_size(),
            static_cast<int>(kRemovedHeaders.size()) - 1);
  for (const std::string& name : common.header_mutation().remove_headers()) {
    EXPECT_NE(name, "x-data-parallel-rank");
    EXPECT_NE(name, "x-gateway-destination-endpoint");
  }
  const auto& fields = response.dynamic_metadata().fields().at("envoy.lb").struct_value().fields();
  EXPECT_EQ(fields.at("x-gateway-destination-endpoint").string_value(), pick.endpoints);
}

TEST(ReplyTest, OnlyWhatTheClientSentIsRemoved) {
  const Pick pick{.endpoints = "10.0.0.7:8000", .rank = {}, .lease = ""};
  const auto response =
      Parsed({.kind = Reply::Kind::kRequestHeaders, .pick = &pick, .to_remove = 1});
  EXPECT_THAT(response.request_headers().response().header_mutation().remove_headers(),
              ElementsAre("x-data-parallel-rank"));
  const auto none = Parsed({.kind = Reply::Kind::kRequestHeaders, .pick = &pick});
  EXPECT_THAT(none.request_headers().response().header_mutation().remove_headers(), IsEmpty());
}

TEST(ReplyTest, ARefusalIsJsonWithItsStatus) {
  const Refusal refusal{429, "rate_limit_error", "overloaded", "rejected-saturated",
                        "a \"quoted\" \\ text\n"};
  const auto response = Parsed({.kind = Reply::Kind::kImmediate, .refusal = &refusal});
  const auto& immediate = response.immediate_response();
  EXPECT_EQ(immediate.status().code(), 429);
  EXPECT_EQ(immediate.body(),
            R"({"error":{"message":"a \"quoted\" \\ text\u000a","type":"rate_limit_error",)"
            R"("code":"overloaded"}})");
  ASSERT_EQ(immediate.headers().set_headers_size(), 2);
  EXPECT_EQ(immediate.headers().set_headers(0).header().key(), "content-type");
  EXPECT_EQ(immediate.headers().set_headers(0).header().raw_value(), "application/json");
  EXPECT_EQ(immediate.headers().set_headers(1).header().key(), "x-llm-d-request-dropped-reason");
}

}  // namespace
}  // namespace kvroute
