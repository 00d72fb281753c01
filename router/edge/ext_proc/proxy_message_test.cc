#include "router/edge/ext_proc/proxy_message.h"

#include <gmock/gmock.h>
#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "kvroute/envoy/external_processor.pb.h"
#include "router/edge/ext_proc/request_headers.h"

namespace kvroute {
namespace {

using SentRequest = ::envoy::service::ext_proc::v3::ProcessingRequest;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr char kVectorC[] =
    "12210a1f0a1d0a053a706174681a142f76312f636861742f636f6d706c6574696f6e7342580a560a14656e766f792e"
    "6c622e7375627365745f68696e74123e0a3c0a25782d676174657761792d64657374696e6174696f6e2d656e64706f"
    "696e742d737562736574121332110a0f1a0d31302e302e302e373a383030305a06080410041801";

ProxyMessage MustRead(std::string_view bytes) {
  ProxyMessage message;
  EXPECT_TRUE(ReadProxyMessage(bytes, &message));
  return message;
}

std::vector<std::string> Texts(const std::vector<Endpoint>& endpoints) {
  std::vector<std::string> texts;
  for (const Endpoint& endpoint : endpoints) texts.push_back(endpoint.Text());
  return texts;
}

TEST(ProxyMessageTest, ReadsHeadersWithSubsetAndModes) {
  const std::string bytes = absl::HexStringToBytes(kVectorC);
  const ProxyMessage message = MustRead(bytes);
  EXPECT_EQ(message.kind, ProxyMessageKind::kRequestHeaders);
  EXPECT_FALSE(message.end_of_stream);
  EXPECT_FALSE(message.observability);
  EXPECT_EQ(ReadRequestHeaders(message.headers).path, "/v1/chat/completions");
  ASSERT_TRUE(message.modes.has_value());
  EXPECT_EQ(message.modes->request, BodyMode::kFullDuplex);
  EXPECT_EQ(message.modes->response, BodyMode::kFullDuplex);
  EXPECT_TRUE(message.modes->body_without_waiting);
  std::vector<Endpoint> subset;
  uint64_t unreadable = 0;
  EXPECT_TRUE(ReadSubset(message.metadata, &subset, &unreadable));
  EXPECT_THAT(Texts(subset), ElementsAre("10.0.0.7:8000"));
}

TEST(ProxyMessageTest, ReadsABody) {
  const std::string bytes = absl::HexStringToBytes("22060a0268691001");
  const ProxyMessage message = MustRead(bytes);
  EXPECT_EQ(message.kind, ProxyMessageKind::kRequestBody);
  EXPECT_EQ(message.body, "hi");
  EXPECT_TRUE(message.end_of_stream);
  EXPECT_FALSE(message.modes.has_value());
}

TEST(ProxyMessageTest, ReadsEveryKindAsProtobufWritesIt) {
  SentRequest request;
  request.mutable_response_headers()->set_end_of_stream(true);
  EXPECT_EQ(MustRead(request.SerializeAsString()).kind, ProxyMessageKind::kResponseHeaders);
  EXPECT_TRUE(MustRead(request.SerializeAsString()).end_of_stream);
  request.mutable_response_body()->set_body("x");
  EXPECT_EQ(MustRead(request.SerializeAsString()).kind, ProxyMessageKind::kResponseBody);
  request.mutable_request_trailers();
  EXPECT_EQ(MustRead(request.SerializeAsString()).kind, ProxyMessageKind::kRequestTrailers);
  request.mutable_response_trailers();
  EXPECT_EQ(MustRead(request.SerializeAsString()).kind, ProxyMessageKind::kResponseTrailers);
  request.set_observability_mode(true);
  EXPECT_TRUE(MustRead(request.SerializeAsString()).observability);
  request.Clear();
  EXPECT_EQ(MustRead(request.SerializeAsString()).kind, ProxyMessageKind::kNone);
  request.mutable_protocol_config();
  EXPECT_EQ(MustRead(request.SerializeAsString()).modes->request, BodyMode::kNone);
}

TEST(ProxyMessageTest, AModeOfANewerProxyIsAnsweredLikeStreamed) {
  const std::string bytes = absl::HexStringToBytes("5a0408631064");
  EXPECT_EQ(MustRead(bytes).modes->request, BodyMode::kStreamed);
  EXPECT_EQ(MustRead(bytes).modes->response, BodyMode::kStreamed);
}

TEST(ProxyMessageTest, KeepsRepeatedHeadersAndTakesEitherFormOfAValue) {
  SentRequest request;
  auto* headers = request.mutable_request_headers()->mutable_headers();
  const auto add = [&](const char* name, const char* value, const char* raw) {
    auto* header = headers->add_headers();
    header->set_key(name);
    header->set_value(value);
    header->set_raw_value(raw);
  };
  add("a", "", "raw");
  add("b", "old", "");
  add("a", "old", "both");
  add("", "", "of nobody");
  const std::string bytes = request.SerializeAsString();
  std::vector<std::pair<std::string, std::string>> read;
  ForEachHeader(MustRead(bytes).headers, [&](std::string_view name, std::string_view value) {
    read.emplace_back(name, value);
  });
  EXPECT_THAT(read,
              ElementsAre(std::pair("a", "raw"), std::pair("b", "old"), std::pair("a", "both")));
}

class SubsetTest : public testing::Test {
 protected:
  google::protobuf::Value* Value() {
    auto& fields =
        *(*request_.mutable_metadata_context()->mutable_filter_metadata())["envoy.lb.subset_hint"]
             .mutable_fields();
    return &fields["x-gateway-destination-endpoint-subset"];
  }
  bool Read() {
    bytes_ = request_.SerializeAsString();
    unreadable_ = 0;
    return ReadSubset(MustRead(bytes_).metadata, &subset_, &unreadable_);
  }

  SentRequest request_;
  std::string bytes_;
  std::vector<Endpoint> subset_;
  uint64_t unreadable_ = 0;
};

TEST_F(SubsetTest, IsAListOfEndpointsAndAddresses) {
  for (const char* text : {"10.0.0.7:8000", "10.0.0.8", "[fd00::7]:80", "fd00::8", "[fd00::9]"}) {
    Value()->mutable_list_value()->add_values()->set_string_value(text);
  }
  EXPECT_TRUE(Read());
  EXPECT_THAT(Texts(subset_), ElementsAre("10.0.0.7:8000", "10.0.0.8:0", "[fd00::7]:80",
                                          "[fd00::8]:0", "[fd00::9]:0"));
  EXPECT_EQ(unreadable_, 0u);
}

TEST_F(SubsetTest, IsOneTextWithCommas) {
  Value()->set_string_value(" 10.0.0.7:8000 ,10.0.0.8,, [fd00::7]:80 ");
  EXPECT_TRUE(Read());
  EXPECT_THAT(Texts(subset_), ElementsAre("10.0.0.7:8000", "10.0.0.8:0", "[fd00::7]:80"));
}

TEST_F(SubsetTest, IsEmptyWhenItNamesNothing) {
  Value()->set_string_value("");
  EXPECT_TRUE(Read());
  EXPECT_THAT(subset_, IsEmpty());
  Value()->mutable_list_value();
  EXPECT_TRUE(Read());
  Value()->set_string_value("pod-7:8000,10.0.0.7:99999,10.0.0.7:http,999.0.0.1:80");
  EXPECT_TRUE(Read());
  EXPECT_THAT(subset_, IsEmpty());
  EXPECT_EQ(unreadable_, 4u);
  Value()->set_number_value(7);
  EXPECT_TRUE(Read());
  EXPECT_EQ(unreadable_, 1u);
}

TEST_F(SubsetTest, IsNoneWithoutItsKey) {
  EXPECT_FALSE(Read());
  (*request_.mutable_metadata_context()->mutable_filter_metadata())["envoy.lb"];
  EXPECT_FALSE(Read());
  Value()->set_null_value(google::protobuf::NULL_VALUE);
  EXPECT_FALSE(Read());
}

TEST(ServedTest, IsReadFromItsNamespace) {
  SentRequest request;
  auto& fields = *(*request.mutable_metadata_context()->mutable_filter_metadata())["envoy.lb"]
                      .mutable_fields();
  fields["other"].set_string_value("1.2.3.4:5");
  std::string bytes = request.SerializeAsString();
  EXPECT_EQ(ReadServed(MustRead(bytes).metadata), "");
  fields["x-gateway-destination-endpoint-served"].set_string_value("10.0.0.9:8000");
  bytes = request.SerializeAsString();
  EXPECT_EQ(ReadServed(MustRead(bytes).metadata), "10.0.0.9:8000");
}

// Whatever the bytes are, reading them ends, and reads what protobuf reads of those it takes.
TEST(ProxyMessageTest, AgreesWithProtobufOnDamagedMessages) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const google::protobuf::LogSilencer silence;  // it tells of each damage
  SentRequest whole;
  ASSERT_TRUE(whole.ParseFromString(absl::HexStringToBytes(kVectorC)));
  for (int round = 0; round < 20'000; ++round) {
    if (round % 4 == 0) whole.mutable_request_body()->set_body(std::string(random() % 300, 'x'));
    std::string bytes = whole.SerializeAsString();
    for (uint32_t changes = random() % 4; changes > 0; --changes) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    bytes.resize(bytes.size() - (random() % 3 == 0 ? random() % bytes.size() : 0));
    ProxyMessage ours;
    const bool read = ReadProxyMessage(bytes, &ours);
    std::vector<Endpoint> subset;
    uint64_t unreadable = 0;
    ReadSubset(ours.metadata, &subset, &unreadable);
    ReadServed(ours.metadata);
    ReadRequestHeaders(ours.headers);
    SentRequest theirs;
    if (!read || !theirs.ParseFromString(bytes)) continue;
    if (theirs.request_case() != SentRequest::kRequestBody) continue;
    if (ours.kind != ProxyMessageKind::kRequestBody) continue;  // a field that came twice
    EXPECT_EQ(ours.observability, theirs.observability_mode());
  }
}

}  // namespace
}  // namespace kvroute
