// Text from outside, by every way it comes in: topics, registrations, the configuration and
// requests. Whatever it is, all that kvroute says of it is valid UTF-8 without control bytes.
#include <google/protobuf/message.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "indexer/base/error.h"
#include "indexer/base/log.h"
#include "indexer/base/text.h"
#include "router/config/parse_config.h"
#include "router/edge/page/metrics_page.h"
#include "router/edge/page/status_page.h"
#include "router/rights/rights.h"
#include "router/serve/live_config.h"
#include "test/support/server_fixture.h"

namespace kvroute {
namespace {

using google::protobuf::FieldDescriptor;

void ExpectText(std::string_view what, const std::string& text) {
  EXPECT_TRUE(IsOneLine(text)) << what << ": " << OneLine(text);
}

// Every string of a message, however deep.
void ExpectText(const google::protobuf::Message& message) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const int size = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    for (int i = 0; i < size; ++i) {
      if (field->type() == FieldDescriptor::TYPE_STRING) {
        ExpectText(field->full_name(), field->is_repeated()
                                           ? reflection.GetRepeatedString(message, field, i)
                                           : reflection.GetString(message, field));
      } else if (field->type() == FieldDescriptor::TYPE_MESSAGE) {
        ExpectText(field->is_repeated() ? reflection.GetRepeatedMessage(message, field, i)
                                        : reflection.GetMessage(message, field));
      }
    }
  }
}

void ExpectText(const nlohmann::json& json) {
  if (json.is_string()) ExpectText("a page", json.get<std::string>());
  if (!json.is_structured()) return;
  for (const auto& [key, value] : json.items()) {
    ExpectText("a page's key", key);
    ExpectText(value);
  }
}

class OutsideTextTest : public ServerTest {
 protected:
  OutsideTextTest() {
    source_.SetCallbacks([this](const DiscoveredStream& d) { return fleet_.AddDiscovered(d); }, {});
  }

  size_t Below(size_t n) { return random_() % n; }
  // Letters, control bytes, characters of two bytes, and halves of those.
  std::string Bytes() {
    std::string bytes;
    for (size_t n = 1 + Below(80); n > 0; --n) {
      switch (Below(12)) {
        case 0:
          bytes += static_cast<char>(Below(256));
          break;
        case 1:
          bytes += static_cast<char>(Below(32));
          break;
        case 2:
          bytes += "\xc2\x9b";
          break;
        case 3:
          bytes += "\xc3\xa9";
          break;
        default:
          bytes += static_cast<char>('a' + Below(26));
      }
    }
    return bytes;
  }
  // As it would pass a client's protobuf.
  std::string Utf8() {
    while (true) {
      std::string text = Bytes();
      if (IsValidUtf8(text)) return text;
    }
  }
  // A good name is among many.
  std::string Name() { return Below(2) == 0 ? Utf8() : absl::StrCat("w", Below(50)); }
  std::string Endpoint() { return Below(2) == 0 ? Utf8() : absl::StrCat("inproc://", Below(999)); }

  void Discover() {
    source_.Discover(Below(2) == 0 ? Bytes() : Name(), Below(2) == 0 ? Bytes() : "m");
  }

  void Call(const std::function<grpc::Status(grpc::ClientContext*)>& method) {
    grpc::ClientContext context;
    ExpectText("a status", method(&context).error_message());
  }

  void RegisterSomething() {
    v1::RegisterRequest request;
    v1::Worker& worker = *request.mutable_worker();
    worker.set_worker_id(Name());
    worker.set_address(Name());
    worker.set_model(Below(2) == 0 ? "m" : Utf8());
    worker.set_event_endpoint(Endpoint());
    if (Below(3) == 0) worker.set_replay_endpoint(Endpoint());
    if (Below(2) == 0) worker.set_topic(Utf8());
    if (Below(8) == 0) worker.set_engine(Utf8());
    if (Below(8) == 0) worker.set_copies(Utf8());
    Call([&](grpc::ClientContext* context) {
      v1::RegisterResponse response;
      return fleet_stub_->Register(context, request, &response);
    });
    Call([&](grpc::ClientContext* context) {
      v1::DeregisterRequest gone;
      gone.set_worker_id(Name());
      v1::DeregisterResponse response;
      return fleet_stub_->Deregister(context, gone, &response);
    });
  }

  v1::RouteRequest Something() {
    v1::RouteRequest request = Ask(8);
    if (Below(3) == 0) request.set_model(Utf8());
    if (Below(3) == 0) request.set_policy(Utf8());
    if (Below(2) == 0) request.set_request_id(Below(2) == 0 ? Utf8() : "r");
    if (Below(4) == 0) request.set_lora_name(Utf8());
    if (Below(4) == 0) request.set_cache_salt(Utf8());
    if (Below(4) == 0) request.add_candidates()->set_worker_id(Name());
    if (Below(8) == 0) {
      request.mutable_prompt()->clear_token_ids();
      request.mutable_prompt()->mutable_block_hashes()->set_block_size_tokens(4);
    }
    request.set_runner_ups(3);
    return request;
  }

  void AskSomething() {
    const v1::RouteRequest request = Something();
    Call([&](grpc::ClientContext* context) {
      v1::RouteResponse response;
      const grpc::Status status = router_stub_->Route(context, request, &response);
      ExpectText(response);
      return status;
    });
    Call([&](grpc::ClientContext* context) {
      v1::ExplainResponse response;
      const grpc::Status status = router_stub_->Explain(context, request, &response);
      ExpectText(response);
      return status;
    });
    Call([&](grpc::ClientContext* context) {
      v1::ScoreRequest score;
      score.set_model(request.model());
      *score.mutable_prompt() = request.prompt();
      *score.mutable_candidates() = request.candidates();
      v1::ScoreResponse response;
      const grpc::Status status = router_stub_->Score(context, score, &response);
      ExpectText(response);
      return status;
    });
  }

  // The lines of a log are one each, of text.
  static void ExpectLinesOfText(const std::string& lines) {
    for (const std::string& line : std::vector<std::string>(absl::StrSplit(lines, '\n'))) {
      ExpectText("a line", line);
    }
  }

  const unsigned seed_ = std::random_device()();
  std::mt19937 random_{seed_};
};

TEST_F(OutsideTextTest, IsTextInEveryAnswerPageAndLine) {
  SCOPED_TRACE(absl::StrCat("seed ", seed_));
  auto config = ParseConfig("", "k.yaml", {});
  Rights rights;
  LiveConfig live(*config, "k.yaml", {}, &fleet_, &router_, &rights, &clock_);
  for (const char* format : {"text", "json"}) {
    ASSERT_TRUE(ConfigureLog({.level = "debug", .format = format}).ok());
    testing::internal::CaptureStderr();
    AddWorker(Spec(absl::StrCat("good-", format)));
    for (int i = 0; i < 150; ++i) {
      Discover();
      RegisterSomething();
      AskSomething();
      live.Reload(absl::StrCat("{", Bytes(), ": ", Bytes()));
      live.Reload(absl::StrCat("\"", Utf8(), "\": 1"));
      live.Reload(absl::StrCat("workers: [{worker_id: \"\\x", Below(90) + 10, "\", address: a, ",
                               "model: m, event_endpoint: 'inproc://x'}]"));
      ExpectText("a report", live.report().last_error);
    }
    fleet_.AwaitPublished();
    ASSERT_TRUE(FlushLog(std::chrono::milliseconds(60'000)));
    const std::string lines = testing::internal::GetCapturedStderr();
    EXPECT_FALSE(lines.empty());
    ExpectLinesOfText(lines);
  }
  ASSERT_TRUE(ConfigureLog({}).ok());

  const auto snapshot = fleet_.Snapshot();
  EXPECT_GT(snapshot->targets.size(), 10u);
  Call([&](grpc::ClientContext* context) {
    v1::ListResponse response;
    const grpc::Status status = fleet_stub_->List(context, {}, &response);
    EXPECT_GT(response.workers_size(), 10);
    ExpectText(response);
    return status;
  });
  StatusSources sources;
  sources.config = live.report();
  sources.fleet = snapshot;
  ExpectText(nlohmann::json::parse(StatusJson(sources)));
  Exposition metrics;
  AddFleetMetrics(*snapshot, true, &metrics);
  ExpectLinesOfText(metrics.Text());
}

// The error quotes 64 bytes of the policy, which end in the middle of a character. As a string of
// a protobuf message that is, a client in Go or Python could not read the answer.
TEST_F(OutsideTextTest, WhatIsCutForAnErrorIsTextInAStream) {
  grpc::ClientContext context;
  auto stream = AnsweredStream(&context);
  v1::RouteRequest request = Ask(5);
  std::string policy = "x";
  for (int i = 0; i < 64; ++i) policy += "\xc3\xa9";
  request.set_policy(policy);
  v1::RouteStreamResponse response;
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.error().code(), grpc::StatusCode::INVALID_ARGUMENT);
  ExpectText(response);
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

}  // namespace
}  // namespace kvroute
