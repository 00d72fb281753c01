// What callers send, and what they show, is in no log line: at no level, whatever goes wrong.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kvroute/v1/fleet.grpc.pb.h"
#include "kvroute/v1/router.grpc.pb.h"
#include "test/integration/rights_server.h"

namespace kvroute {
namespace {

using testing::HasSubstr;
using testing::Not;

// Numbers that occur nowhere else.
constexpr uint32_t kMarkedTokenId = 1'978'563'421;
constexpr const char* kMarkedText = "MARKED-PROMPT-OF-A-PERSON";
constexpr const char* kMarkedSalt = "MARKED-SALT";

template <typename Request>
Request Marked() {
  Request request;
  request.set_model("no-such-model");
  for (int i = 0; i < 64; ++i) request.mutable_prompt()->add_token_ids(kMarkedTokenId);
  return request;
}

class SecretLogsTest : public testing::Test {
 protected:
  template <typename Stub, typename Request, typename Response>
  void Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
            Stub* stub, const Request& request, const std::string& token) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + token);
    Response response;
    (stub->*method)(&context, request, &response);
  }

  RightsServer server_{"", {"--log-level", "trace"}};
};

TEST_F(SecretLogsTest, NeitherTokenIdsNorTextNorTokensAreLogged) {
  const std::string wrong = "0123456789-MARKED-unknown-token";
  const auto channel = server_.Channel({});
  const auto router = v1::Router::NewStub(channel);
  for (const std::string& token :
       {RightsServer::TokenOf("route"), RightsServer::TokenOf("admin"), wrong}) {
    Call(&v1::Router::Stub::Route, router.get(), Marked<v1::RouteRequest>(), token);
    Call(&v1::Router::Stub::Explain, router.get(), Marked<v1::RouteRequest>(), token);
    v1::RouteRequest bad = Marked<v1::RouteRequest>();
    bad.set_policy("no-such-policy");
    bad.set_cache_salt(kMarkedSalt);
    Call(&v1::Router::Stub::Route, router.get(), bad, token);
  }
  const TestCaller route = server_.WithToken("route");
  const std::string ids = absl::StrCat("[", kMarkedTokenId, ",", kMarkedTokenId, "]");
  for (const std::string& body :
       {absl::StrCat("{\"model\":\"m\",\"token_ids\":", ids, "}"),
        absl::StrCat("{\"model_name\":\"m\",\"token_ids\":", ids, ",\"", kMarkedText, "\":1}"),
        absl::StrCat("{\"text\":\"", kMarkedText, "\",\"token_ids\":\"", kMarkedText, "\""),
        std::string(kMarkedText)}) {
    server_.Http(route, "http_json", "POST", "/query", body);
    server_.Http({"", {}, wrong}, "http_json", "POST", "/query", body);
  }
  const std::string log = server_.process().Log();
  EXPECT_THAT(log, HasSubstr("refused"));  // there is something to be found in it
  for (const std::string& secret :
       {std::to_string(kMarkedTokenId), std::string("MARKED"), RightsServer::TokenOf("route"),
        RightsServer::TokenOf("admin"), RightsServer::TokenOf("metrics")}) {
    EXPECT_THAT(log, Not(HasSubstr(secret))) << secret;
  }
}

}  // namespace
}  // namespace kvroute
