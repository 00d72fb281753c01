#ifndef KVROUTE_TEST_SUPPORT_PICKER_FIXTURE_H_
#define KVROUTE_TEST_SUPPORT_PICKER_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kvroute/envoy/external_processor.pb.h"
#include "router/edge/ext_proc/picker_stream.h"
#include "test/support/routing_fixture.h"

namespace kvroute {

using EnvoyRequest = envoy::service::ext_proc::v3::ProcessingRequest;
using EnvoyResponse = envoy::service::ext_proc::v3::ProcessingResponse;

// Messages of a proxy.
inline EnvoyRequest HeadersOf(const std::vector<std::pair<std::string, std::string>>& headers,
                              bool end_of_stream = false) {
  EnvoyRequest message;
  auto* to = message.mutable_request_headers();
  for (const auto& [name, value] : headers) {
    auto* header = to->mutable_headers()->add_headers();
    header->set_key(name);
    header->set_raw_value(value);
  }
  to->set_end_of_stream(end_of_stream);
  return message;
}
inline EnvoyRequest HeadersTo(const std::string& path, bool end_of_stream = false) {
  return HeadersOf({{":path", path}}, end_of_stream);
}
inline EnvoyRequest WithModes(EnvoyRequest message, BodyMode request, BodyMode response,
                              bool body_without_waiting = false) {
  using Mode = envoy::extensions::filters::http::ext_proc::v3::ProcessingMode;
  auto* modes = message.mutable_protocol_config();
  modes->set_request_body_mode(static_cast<Mode::BodySendMode>(request));
  modes->set_response_body_mode(static_cast<Mode::BodySendMode>(response));
  modes->set_send_body_without_waiting_for_header_response(body_without_waiting);
  return message;
}
inline EnvoyRequest WithSubset(EnvoyRequest message, const std::string& endpoints) {
  (*(*message.mutable_metadata_context()->mutable_filter_metadata())["envoy.lb.subset_hint"]
        .mutable_fields())["x-gateway-destination-endpoint-subset"]
      .set_string_value(endpoints);
  return message;
}
inline EnvoyRequest WithServed(EnvoyRequest message, const std::string& endpoint) {
  (*(*message.mutable_metadata_context()->mutable_filter_metadata())["envoy.lb"]
        .mutable_fields())["x-gateway-destination-endpoint-served"]
      .set_string_value(endpoint);
  return message;
}
inline EnvoyRequest Body(const std::string& body, bool end_of_stream) {
  EnvoyRequest message;
  message.mutable_request_body()->set_body(body);
  message.mutable_request_body()->set_end_of_stream(end_of_stream);
  return message;
}
inline EnvoyRequest Trailers() {
  EnvoyRequest message;
  message.mutable_request_trailers();
  return message;
}
inline EnvoyRequest Response(const std::string& status, bool end_of_stream = false) {
  EnvoyRequest message;
  auto* header = message.mutable_response_headers()->mutable_headers()->add_headers();
  header->set_key(":status");
  header->set_raw_value(status);
  message.mutable_response_headers()->set_end_of_stream(end_of_stream);
  return message;
}
inline EnvoyRequest ResponseBody(const std::string& body, bool end_of_stream) {
  EnvoyRequest message;
  message.mutable_response_body()->set_body(body);
  message.mutable_response_body()->set_end_of_stream(end_of_stream);
  return message;
}
inline EnvoyRequest ResponseTrailers() {
  EnvoyRequest message;
  message.mutable_response_trailers();
  return message;
}

// A body of vLLM's generate call with so many tokens.
inline constexpr char kGenerate[] = "/inference/v1/generate";
inline std::string TokensBody(size_t tokens, const std::string& model = "m") {
  std::string ids;
  for (const TokenId token : Tokens(tokens)) absl::StrAppend(&ids, ids.empty() ? "" : ",", token);
  return absl::StrCat("{\"model\":\"", model, "\",\"token_ids\":[", ids, "]}");
}
inline constexpr char kChat[] = "/v1/chat/completions";
inline constexpr char kChatBody[] =
    R"({"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":7})";

// Where a reply sends the request; empty: it does not say.
inline std::string PickIn(const EnvoyResponse& reply) {
  const auto& common = reply.has_request_body() ? reply.request_body().response()
                                                : reply.request_headers().response();
  for (const auto& set : common.header_mutation().set_headers()) {
    if (set.header().key() == "x-gateway-destination-endpoint") return set.header().raw_value();
  }
  return "";
}

// What serves a stream, as a test sees it.
class FakePickerHost final : public PickerHost {
 public:
  void Send(const Reply& reply) override {
    std::string bytes;
    WriteReplyHead(reply, &bytes);
    if (reply.form != BodyForm::kAsItIs) {
      for (const std::string_view piece : reply.body) bytes.append(piece);
    }
    bytes.append(ReplyTail(reply));
    sent.emplace_back();
    EXPECT_TRUE(sent.back().ParseFromString(bytes));
    EXPECT_TRUE(sent.back().GetReflection()->GetUnknownFields(sent.back()).empty());
  }
  std::string_view Keep(std::string_view part) override {
    return *kept.emplace_back(std::make_unique<std::string>(part));
  }
  void Release() override { kept.clear(); }
  bool ReadElsewhere(const RequestHeaders& headers,
                     absl::Span<const std::string_view> pieces) override {
    if (!can_read_elsewhere) return false;
    EXPECT_FALSE(reading);
    reading = true;
    elsewhere.Read(headers, pieces);
    return true;
  }
  void LeaveReading() override {
    EXPECT_TRUE(reading);
    reading = false;
  }
  std::shared_ptr<const RenderedPrompt> Recall(const RequestBody& body, const PaddedText&,
                                               std::string_view model) override {
    EXPECT_TRUE(body.needs_render());
    if (remembered != nullptr) rendered_model = std::string(model);
    return remembered;
  }
  bool Render(const RequestBody& body, const PaddedText&, std::string_view model,
              Nanos until) override {
    if (!can_render) return false;
    EXPECT_TRUE(body.needs_render());
    rendering = true;
    rendered_model = std::string(model);
    deadline = until;
    return true;
  }
  void CancelRender() override {
    EXPECT_TRUE(rendering);
    rendering = false;
    ++cancelled;
  }

  std::vector<EnvoyResponse> Take() { return std::exchange(sent, {}); }

  std::vector<EnvoyResponse> sent;
  std::vector<std::unique_ptr<std::string>> kept;
  bool can_render = true;
  bool can_read_elsewhere = true;
  bool reading = false;
  BodyText elsewhere;
  std::shared_ptr<const RenderedPrompt> remembered;
  bool rendering = false;
  int cancelled = 0;
  std::string rendered_model;
  Nanos deadline{0};
};

// Streams of a picker over a fleet of the test's, without sockets.
class PickerTest : public testing::Test, protected RoutingFixture {
 protected:
  PickerTest() { Start({}); }
  void Start(const PickerOptions& options) {
    stream_.reset();
    picker_ = std::make_unique<EndpointPicker>(options, &router_, &fleet_, &picker_stats_, &bodies_,
                                               &clock_, &rules_);
  }
  void AddAt(const std::string& id, const std::string& address, uint32_t ranks = 1,
             const std::string& model = "m") {
    WorkerSpec spec = Spec(id, ranks);
    spec.address = address;
    spec.model = model;
    AddWorker(spec);
  }
  // Another HTTP request.
  void Open() { stream_ = std::make_unique<PickerStream>(picker_.get(), &host_, ClientId{1, 1}); }
  // What is answered to a message.
  std::vector<EnvoyResponse> Say(const EnvoyRequest& message) {
    if (stream_ == nullptr) Open();
    const std::string bytes = message.SerializeAsString();
    ProxyMessage read;
    EXPECT_TRUE(ReadProxyMessage(bytes, &read));
    stream_->OnMessage(read);
    return host_.Take();
  }
  void Close() {
    stream_->OnClosed();
    stream_.reset();
    EXPECT_TRUE(host_.Take().empty());
  }
  std::vector<EnvoyResponse> Rendered(size_t tokens, RenderFailure failure = RenderFailure::kNo) {
    RenderedPrompt prompt;
    prompt.failure = failure;
    if (prompt.ok()) prompt.token_ids = Tokens(tokens);
    host_.rendering = false;
    stream_->OnRendered(std::move(prompt));
    return host_.Take();
  }
  std::vector<EnvoyResponse> BodyRead() {
    host_.reading = false;
    stream_->OnBodyRead(host_.elsewhere);
    return host_.Take();
  }
  std::vector<EnvoyResponse> Wait(Nanos time) {
    clock_.Advance(time);
    stream_->OnTick(clock_.Monotonic());
    return host_.Take();
  }
  uint64_t Count(PickOutcome outcome) const {
    return picker_stats_.outcomes[static_cast<size_t>(outcome)];
  }
  uint64_t Count(NoPrompt why) const { return stats_.unscored_decisions[static_cast<size_t>(why)]; }
  uint64_t Leases() const { return loads_.Stats().leases; }
  // All that was echoed, and whether its end was said.
  static std::string Echo(const std::vector<EnvoyResponse>& replies, bool* end) {
    std::string body;
    *end = false;
    for (const EnvoyResponse& reply : replies) {
      if (!reply.has_request_body()) continue;
      EXPECT_TRUE(reply.request_body().response().body_mutation().has_streamed_response());
      const auto& piece = reply.request_body().response().body_mutation().streamed_response();
      EXPECT_FALSE(*end) << "something follows the end";
      EXPECT_LE(piece.body().size(), 62'000u);
      body += piece.body();
      *end = piece.end_of_stream();
    }
    return body;
  }

  PickerStats picker_stats_;
  MemoryBudget bodies_{uint64_t{64} << 20};
  PublishedRequestRules rules_;
  FakePickerHost host_;
  std::unique_ptr<EndpointPicker> picker_;
  std::unique_ptr<PickerStream> stream_;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_PICKER_FIXTURE_H_
