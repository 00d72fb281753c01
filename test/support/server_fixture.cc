#include "test/support/server_fixture.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>

#include <chrono>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kvroute {

std::unique_ptr<GrpcServer> MustStart(GrpcServerOptions options, RoutingFixture* fixture) {
  options.address = "127.0.0.1:0";
  auto server = GrpcServer::Start(options, &fixture->router_, &fixture->fleet_, &fixture->stats_);
  KVROUTE_CHECK(server.ok());
  return *std::move(server);
}

void ServerTest::Start(const GrpcServerOptions& options) {
  server_ = MustStart(options, this);
  channel_ = grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_->port()),
                                 grpc::InsecureChannelCredentials());
  router_stub_ = v1::Router::NewStub(channel_);
  fleet_stub_ = v1::Fleet::NewStub(channel_);
}

v1::RouteRequest ServerTest::Ask(size_t tokens) {
  v1::RouteRequest request;
  request.set_model("m");
  for (const TokenId token : Tokens(tokens)) request.mutable_prompt()->add_token_ids(token);
  return request;
}

void ServerTest::ExpectError(const grpc::Status& status, grpc::StatusCode code,
                             const std::string& part) {
  EXPECT_EQ(status.error_code(), code) << status.error_message();
  EXPECT_THAT(status.error_message(), testing::HasSubstr(part));
}

std::unique_ptr<ServerTest::RouteStream> ServerTest::AnsweredStream(grpc::ClientContext* context) {
  AddWorker(Spec("a"));
  std::unique_ptr<RouteStream> stream = router_stub_->RouteStream(context);
  v1::RouteStreamResponse response;
  EXPECT_TRUE(stream->Write(Ask(5)));
  EXPECT_TRUE(stream->Read(&response));
  return stream;
}

grpc::Status ServerTest::CallRaw(const std::string& method, const std::string& request,
                                 std::string* response) {
  grpc::GenericStub stub(channel_);
  grpc::ClientContext context;
  // gRPC may leave a call that comes while its server shuts down without any answer.
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  grpc::CompletionQueue queue;
  auto call = stub.PrepareCall(&context, method, &queue);
  const auto wait = [&] {
    void* tag;
    bool ok;
    queue.Next(&tag, &ok);
    return ok;
  };
  call->StartCall(&call);
  wait();
  grpc::Slice slice(request);
  call->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), &call);
  wait();
  grpc::ByteBuffer buffer;
  call->Read(&buffer, &call);
  if (wait()) {
    std::vector<grpc::Slice> slices;
    if (buffer.Dump(&slices).ok()) {
      for (const grpc::Slice& part : slices)
        response->append(reinterpret_cast<const char*>(part.begin()), part.size());
    }
  }
  grpc::Status status;
  call->Finish(&status, &call);
  wait();
  return status;
}

}  // namespace kvroute
