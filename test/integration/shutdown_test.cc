// How the real process ends: first it says so, then calls end, and nothing waits for what hangs.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kvroute/envoy/external_processor.grpc.pb.h"
#include "kvroute/v1/router.grpc.pb.h"
#include "test/support/http_client.h"
#include "test/support/server_process.h"
#include "tools/client/api_client.h"

namespace kvroute {
namespace {

using std::chrono::seconds;
using testing_support::HttpGet;
using testing_support::ServerProcess;
using Picker = envoy::service::ext_proc::v3::ExternalProcessor;

// Asks again until it is so; every question is a round trip to the process.
bool Eventually(const std::function<bool()>& is_so) {
  const auto deadline = std::chrono::steady_clock::now() + seconds(60);
  while (std::chrono::steady_clock::now() < deadline) {
    if (is_so()) return true;
  }
  return false;
}

std::unique_ptr<ServerProcess> Served(const std::vector<std::string>& fields) {
  std::vector<std::string> flags = {
      "--picker-listen", "127.0.0.1:0",
      "--set",           "picker.tls=off",
      "--worker",        "id=w,address=http://127.0.0.1:8000,model=m,events=tcp://127.0.0.1:9"};
  for (const std::string& field : fields) flags.insert(flags.end(), {"--set", field});
  auto server = ServerProcess::Start(flags);
  EXPECT_TRUE(server.ok()) << server.status();
  return server.ok() ? *std::move(server) : nullptr;
}

bool Answers(const ServerProcess& server) {
  v1::ScoreRequest request;
  request.set_model("m");
  request.mutable_prompt()->add_token_ids(1);
  return ApiClient(server.grpc_address()).Score(request).ok();
}

TEST(ShutdownTest, ForAWhileItIsNotReadyAndServesAsBefore) {
  const auto server = Served({"shutdown.lame_duck=10m", "readiness.grace=0s"});
  ASSERT_NE(server, nullptr);
  EXPECT_TRUE(Eventually([&] { return HttpGet(server->http_port(), "/readyz").status == 200; }));
  kill(server->pid(), SIGTERM);
  EXPECT_TRUE(Eventually([&] { return HttpGet(server->http_port(), "/readyz").status == 503; }));
  EXPECT_EQ(HttpGet(server->http_port(), "/healthz").status, 200);
  EXPECT_TRUE(Answers(*server));
  EXPECT_TRUE(server->running());
  EXPECT_EQ(server->Terminate(), 0) << "a second signal ends it: " << server->Log();
}

// Each has an open stream, and all the time that there is.
TEST(ShutdownTest, TheEdgesEndAtOnceAndNotOneAfterTheOther) {
  const auto server = Served({"shutdown.grace=10m"});
  ASSERT_NE(server, nullptr);
  const auto picker = Picker::NewStub(grpc::CreateChannel(
      absl::StrCat("127.0.0.1:", server->PortOf("picker")), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  const auto stream = picker->Process(&context);
  envoy::service::ext_proc::v3::ProcessingRequest headers;
  headers.mutable_request_headers()->set_end_of_stream(true);
  ASSERT_TRUE(stream->Write(headers));
  envoy::service::ext_proc::v3::ProcessingResponse answer;
  ASSERT_TRUE(stream->Read(&answer));  // it is open
  kill(server->pid(), SIGTERM);
  EXPECT_TRUE(Eventually([&] { return !Answers(*server); }));
  EXPECT_TRUE(server->running()) << "the picker's stream is still open";
  stream->WritesDone();
  (void)stream->Finish();
  EXPECT_EQ(server->Wait(), 0) << server->Log();
}

}  // namespace
}  // namespace kvroute
