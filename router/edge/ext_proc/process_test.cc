// The picker over gRPC: every mode with a client in process, its ports, its ends.
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "kvroute/envoy/external_processor.grpc.pb.h"
#include "router/edge/ext_proc/server.h"
#include "router/edge/grpc_base/credentials.h"
#include "test/support/fake_renderer.h"
#include "test/support/picker_fixture.h"

namespace kvroute {
namespace {

using envoy::service::ext_proc::v3::ExternalProcessor;
using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using std::chrono::milliseconds;

class ProcessTest : public testing::Test, protected RoutingFixture {
 protected:
  ProcessTest() : RoutingFixture({.tie_break_seed = 1}, {}, &Clock::Real()) {
    for (int i = 1; i <= 2; ++i) {
      WorkerSpec spec = Spec(absl::StrCat("w", i));
      spec.address = absl::StrCat("10.0.0.", i, ":8000");
      AddWorker(spec);
    }
    Store("w2", Tokens(64));
    StartServer({});
  }
  ~ProcessTest() override { server_.reset(); }

  void StartServer(PickerServerOptions options) {
    server_.reset();
    options.address = options.health_address = "127.0.0.1:0";
    auto server =
        PickerServer::Start(options, {&router_, &fleet_, &stats_, &picker_stats_, &bodies_,
                                      &renderer_, /*rules=*/nullptr, &Clock::Real()});
    KVROUTE_CHECK(server.ok());
    server_ = *std::move(server);
    channel_ = Channel(server_->port());
  }
  static std::shared_ptr<grpc::Channel> Channel(
      int port, const std::shared_ptr<grpc::ChannelCredentials>& credentials =
                    grpc::InsecureChannelCredentials()) {
    return grpc::CreateChannel(absl::StrCat("127.0.0.1:", port), credentials);
  }

  // One HTTP request as a proxy tells of it.
  class Proxy {
   public:
    explicit Proxy(const std::shared_ptr<grpc::Channel>& channel)
        : stub_(ExternalProcessor::NewStub(channel)), stream_(stub_->Process(&context_)) {}
    void Say(const EnvoyRequest& message) { EXPECT_TRUE(stream_->Write(message)); }
    EnvoyResponse Hear() {
      EnvoyResponse reply;
      EXPECT_TRUE(stream_->Read(&reply));
      return reply;
    }
    grpc::Status End() {
      stream_->WritesDone();
      EnvoyResponse reply;
      EXPECT_FALSE(stream_->Read(&reply)) << "nobody asked for that";
      return stream_->Finish();
    }
    void Leave() {
      context_.TryCancel();
      stream_->Finish();
    }

   private:
    grpc::ClientContext context_;
    std::unique_ptr<ExternalProcessor::Stub> stub_;
    std::unique_ptr<grpc::ClientReaderWriter<EnvoyRequest, EnvoyResponse>> stream_;
  };

  std::string Echoed(Proxy* proxy, bool response) {
    std::string body;
    while (true) {
      const EnvoyResponse reply = proxy->Hear();
      const auto& common =
          response ? reply.response_body().response() : reply.request_body().response();
      if (!common.body_mutation().has_streamed_response()) return body + "<no piece>";
      body += common.body_mutation().streamed_response().body();
      if (common.body_mutation().streamed_response().end_of_stream()) return body;
    }
  }
  static HealthCheckResponse::ServingStatus HealthAt(int port, const std::string& service) {
    const auto stub = Health::NewStub(Channel(port));
    grpc::ClientContext context;
    HealthCheckRequest request;
    request.set_service(service);
    HealthCheckResponse response;
    const grpc::Status status = stub->Check(&context, request, &response);
    return status.ok() ? response.status() : HealthCheckResponse::SERVICE_UNKNOWN;
  }
  void AwaitLeases(uint64_t leases) {
    while (loads_.Stats().leases != leases) std::this_thread::yield();
  }

  PickerStats picker_stats_;
  MemoryBudget bodies_{uint64_t{64} << 20};
  FakeRenderer renderer_;
  std::unique_ptr<PickerServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(ProcessTest, FullDuplexToTheEnd) {
  Proxy proxy(channel_);
  const std::string body = TokensBody(64) + std::string(200'000, ' ');
  proxy.Say(WithModes(HeadersTo(kGenerate), BodyMode::kFullDuplex, BodyMode::kFullDuplex));
  proxy.Say(Body(body.substr(0, 1'000), false));
  proxy.Say(Body(body.substr(1'000), true));
  EXPECT_EQ(PickIn(proxy.Hear()), "10.0.0.2:8000");
  EXPECT_EQ(Echoed(&proxy, false), body);
  EXPECT_EQ(loads_.Stats().leases, 1u);
  proxy.Say(Response("200"));
  EXPECT_TRUE(proxy.Hear().has_response_headers());
  std::string all;
  for (int i = 0; i < 100; ++i) {
    proxy.Say(ResponseBody(absl::StrCat("data: ", i, "\n\n"), false));
    all += proxy.Hear().response_body().response().body_mutation().streamed_response().body();
  }
  EXPECT_TRUE(absl::EndsWith(all, "data: 99\n\n"));
  proxy.Say(ResponseBody("", true));
  EXPECT_EQ(Echoed(&proxy, true), "");
  EXPECT_TRUE(proxy.End().ok());
  AwaitLeases(0);
}

TEST_F(ProcessTest, BufferedToTheEnd) {
  Proxy proxy(channel_);
  proxy.Say(WithModes(HeadersTo(kGenerate), BodyMode::kBuffered, BodyMode::kStreamed));
  EXPECT_EQ(PickIn(proxy.Hear()), "");
  proxy.Say(Body(TokensBody(64), true));
  EXPECT_EQ(PickIn(proxy.Hear()), "10.0.0.2:8000");
  proxy.Say(Response("200"));
  EXPECT_TRUE(proxy.Hear().has_response_headers());
  proxy.Say(ResponseBody("{}", true));
  EXPECT_TRUE(proxy.Hear().has_response_body());
  EXPECT_TRUE(proxy.End().ok());
  AwaitLeases(0);
}

TEST_F(ProcessTest, EveryOtherModeGetsItsPick) {
  for (const BodyMode mode : {BodyMode::kNone, BodyMode::kStreamed, BodyMode::kBufferedPartial}) {
    Proxy proxy(channel_);
    proxy.Say(WithModes(HeadersTo(kGenerate), mode, BodyMode::kBuffered));
    EnvoyResponse reply = proxy.Hear();
    if (mode == BodyMode::kBufferedPartial) {
      proxy.Say(Body(TokensBody(64), true));
      reply = proxy.Hear();
    }
    EXPECT_NE(PickIn(reply), "");
    EXPECT_TRUE(proxy.End().ok());
  }
}

TEST_F(ProcessTest, ABodyOfMoreThanGrpcsDefaultIsTaken) {
  Proxy proxy(channel_);
  const std::string body = TokensBody(64) + std::string(6'000'000, ' ');
  proxy.Say(WithModes(HeadersTo(kGenerate), BodyMode::kFullDuplex, BodyMode::kFullDuplex));
  proxy.Say(Body(body, true));
  EXPECT_EQ(PickIn(proxy.Hear()), "10.0.0.2:8000");
  EXPECT_EQ(Echoed(&proxy, false), body);
  EXPECT_TRUE(proxy.End().ok());
}

TEST_F(ProcessTest, ALongPromptIsReadElsewhereAndPickedForByItsTokens) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "gRPC takes ten seconds there for each long message that is cancelled";
#endif
  std::string body = TokensBody(64);
  body.insert(body.size() - 2, "," + std::string(1'500'000, ' ') + "7");
  Proxy proxy(channel_);
  proxy.Say(WithModes(HeadersTo(kGenerate), BodyMode::kFullDuplex, BodyMode::kFullDuplex));
  proxy.Say(Body(body, true));
  EXPECT_EQ(PickIn(proxy.Hear()), "10.0.0.2:8000");
  EXPECT_EQ(Echoed(&proxy, false), body);
  EXPECT_TRUE(proxy.End().ok());
  // One who leaves meanwhile takes no lease.
  for (int i = 0; i < 20; ++i) {
    Proxy leaves(channel_);
    leaves.Say(WithModes(HeadersTo(kGenerate), BodyMode::kFullDuplex, BodyMode::kFullDuplex));
    leaves.Say(Body(body, true));
    leaves.Leave();
  }
  AwaitLeases(0);
}

// Long pieces go back from the memory they came in, short ones are copied; together they are as few
// messages as the protocol allows.
TEST_F(ProcessTest, ABodyInPiecesOfEverySizeComesBackAsItWas) {
  std::string body = TokensBody(64);
  for (char c = 'a'; body.size() < 700'000; c = c == 'z' ? 'a' : static_cast<char>(c + 1)) {
    body += std::string(1 + body.size() % 977, c == 'z' ? ' ' : '\n');
  }
  Proxy proxy(channel_);
  proxy.Say(WithModes(HeadersTo(kGenerate), BodyMode::kFullDuplex, BodyMode::kFullDuplex));
  size_t at = 0;
  for (size_t size = 1; at < body.size(); size = size * 3 % 200'003) {
    const std::string piece = body.substr(at, size);
    at += piece.size();
    proxy.Say(Body(piece, at == body.size()));
  }
  EXPECT_EQ(PickIn(proxy.Hear()), "10.0.0.2:8000");
  EXPECT_EQ(Echoed(&proxy, false), body);
  proxy.Say(Response("200"));
  EXPECT_TRUE(proxy.Hear().has_response_headers());
  proxy.Say(ResponseBody(body.substr(0, 61'000), false));
  EXPECT_EQ(proxy.Hear().response_body().response().body_mutation().streamed_response().body(),
            body.substr(0, 61'000));
  EXPECT_TRUE(proxy.End().ok());
}

TEST_F(ProcessTest, ARenderedPromptIsPickedForWhileOthersGoOn) {
  renderer_.Hold();
  Proxy slow(channel_);
  slow.Say(HeadersTo(kChat));
  slow.Say(Body(kChatBody, true));
  renderer_.AwaitStarted(1);
  Proxy quick(channel_);
  quick.Say(HeadersTo(kGenerate));
  quick.Say(Body(TokensBody(64), true));
  EXPECT_EQ(PickIn(quick.Hear()), "10.0.0.2:8000");
  renderer_.Release();
  EXPECT_NE(PickIn(slow.Hear()), "");
  EXPECT_EQ(Echoed(&slow, false), kChatBody);
  EXPECT_EQ(picker_stats_.renders[0], 1u);
}

TEST_F(ProcessTest, WhoLeavesDuringARenderTakesNoLease) {
  renderer_.Hold();
  Proxy proxy(channel_);
  proxy.Say(HeadersTo(kChat));
  proxy.Say(Body(kChatBody, true));
  renderer_.AwaitStarted(1);
  proxy.Leave();
  renderer_.AwaitCancelled(1);
  while (picker_stats_.open_streams != 0) std::this_thread::yield();
  EXPECT_EQ(loads_.Stats().begun, 0u);
  EXPECT_EQ(bodies_.used(), 0u);
}

TEST_F(ProcessTest, ANoiseThatIsNoMessageEndsTheStreamInOrder) {
  grpc::ClientContext context;
  const auto stub = ExternalProcessor::NewStub(channel_);
  const auto stream = stub->Process(&context);
  EnvoyRequest noise;
  noise.mutable_request_headers();
  noise.GetReflection()->MutableUnknownFields(&noise)->AddGroup(99);
  ASSERT_TRUE(stream->Write(noise));
  EnvoyResponse reply;
  EXPECT_FALSE(stream->Read(&reply));
  EXPECT_TRUE(stream->Finish().ok()) << "the proxy goes on without us";
  EXPECT_EQ(picker_stats_.malformed_messages, 1u);
}

TEST_F(ProcessTest, AnObserverIsClosedInOrder) {
  Proxy proxy(channel_);
  EnvoyRequest message = HeadersTo(kGenerate);
  message.set_observability_mode(true);
  proxy.Say(message);
  EXPECT_TRUE(proxy.End().ok());
}

TEST_F(ProcessTest, HealthHasFiveNamesOnBothPorts) {
  for (const int port : {server_->port(), server_->health_port()}) {
    EXPECT_EQ(HealthAt(port, "liveness"), HealthCheckResponse::SERVING);
    EXPECT_EQ(HealthAt(port, "readiness"), HealthCheckResponse::NOT_SERVING);
    EXPECT_EQ(HealthAt(port, "other"), HealthCheckResponse::SERVICE_UNKNOWN);
  }
  server_->SetServing(true);
  for (const int port : {server_->port(), server_->health_port()}) {
    for (const char* name :
         {"", "readiness", "envoy.service.ext_proc.v3.ExternalProcessor", "inference-extension"}) {
      EXPECT_EQ(HealthAt(port, name), HealthCheckResponse::SERVING) << name;
    }
  }
}

TEST_F(ProcessTest, TheHealthPortServesNothingElse) {
  grpc::ClientContext context;
  const auto stub = ExternalProcessor::NewStub(Channel(server_->health_port()));
  const auto stream = stub->Process(&context);
  EnvoyResponse reply;
  EXPECT_FALSE(stream->Read(&reply));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(ProcessTest, TlsAndPlaintextSideBySide) {
  PickerServerOptions options;
  auto credentials = SelfSignedCredentials();
  ASSERT_TRUE(credentials.ok()) << credentials.status();
  options.credentials = *credentials;
  options.plaintext_address = "127.0.0.1:0";
  StartServer(options);
  grpc::experimental::TlsChannelCredentialsOptions trusting;
  trusting.set_verify_server_certs(false);
  trusting.set_check_call_host(false);
  trusting.set_certificate_verifier(
      std::make_shared<grpc::experimental::NoOpCertificateVerifier>());
  for (const auto& channel :
       {Channel(server_->port(), grpc::experimental::TlsCredentials(trusting)),
        Channel(server_->plaintext_port())}) {
    Proxy proxy(channel);
    proxy.Say(HeadersTo(kGenerate));
    proxy.Say(Body(TokensBody(64), true));
    EXPECT_EQ(PickIn(proxy.Hear()), "10.0.0.2:8000");
  }
}

TEST_F(ProcessTest, BeyondTheLimitOfStreamsARequestIsAnswered) {
  PickerServerOptions options;
  options.max_streams = 1;
  StartServer(options);
  Proxy first(channel_);
  first.Say(WithModes(HeadersTo(kGenerate), BodyMode::kBuffered, BodyMode::kNone));
  first.Hear();
  Proxy second(channel_);
  second.Say(HeadersTo(kGenerate));
  EXPECT_EQ(second.Hear().immediate_response().status().code(), 503);
  EXPECT_TRUE(second.End().ok());
  first.Say(Body(TokensBody(64), true));
  EXPECT_EQ(PickIn(first.Hear()), "10.0.0.2:8000");
}

TEST_F(ProcessTest, AThousandOpenStreamsTakeNoThreadEach) {
  std::vector<std::unique_ptr<Proxy>> proxies;
  for (int i = 0; i < 1'000; ++i) {
    proxies.push_back(std::make_unique<Proxy>(channel_));
    proxies.back()->Say(HeadersTo(kGenerate));
  }
  while (picker_stats_.open_streams != 1'000) std::this_thread::yield();
  for (const auto& proxy : proxies) proxy->Say(Body(TokensBody(64), true));
  for (const auto& proxy : proxies) EXPECT_NE(PickIn(proxy->Hear()), "");
  for (const auto& proxy : proxies) proxy->Leave();
  AwaitLeases(0);
}

TEST_F(ProcessTest, AShutdownLetsRequestsEnd) {
  Proxy proxy(channel_);
  proxy.Say(HeadersTo(kGenerate));
  proxy.Say(Body(TokensBody(64), true));
  EXPECT_EQ(PickIn(proxy.Hear()), "10.0.0.2:8000");
  EXPECT_EQ(Echoed(&proxy, false), TokensBody(64));
  std::thread shutdown([this] { server_->Shutdown(std::chrono::minutes(1)); });
  proxy.Say(Response("200"));
  EXPECT_TRUE(proxy.Hear().has_response_headers());
  proxy.Say(ResponseBody("x", true));
  EXPECT_EQ(Echoed(&proxy, true), "x");
  EXPECT_TRUE(proxy.End().ok());
  shutdown.join();
  EXPECT_EQ(loads_.Stats().leases, 0u);
}

}  // namespace
}  // namespace kvroute
