// Every role, every call, with a certificate, with a token and with nothing: who may what.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "grpc/health/v1/health.pb.h"
#include "grpc/reflection/v1alpha/reflection.pb.h"
#include "kvroute/envoy/external_processor.pb.h"
#include "kvroute/radix/radix_index.pb.h"
#include "kvroute/v1/fleet.pb.h"
#include "kvroute/v1/router.pb.h"
#include "test/integration/rights_server.h"

namespace kvroute {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing_support::HttpReply;
using Table = std::map<std::string, std::set<std::string>>;  // what: who may; nobody: everybody

const std::vector<std::string> kAllRoles = {"route", "register", "admin", "metrics"};

// Written out here, not taken from what is tested.
const Table kMethods = {
    {"/kvroute.v1.Router/Route", {"route"}},
    {"/kvroute.v1.Router/Score", {"route"}},
    {"/kvroute.v1.Router/RouteStream", {"route"}},
    {"/kvroute.v1.Router/ScoreStream", {"route"}},
    {"/kvroute.v1.Router/Complete", {"route"}},
    {"/kvroute.v1.Router/Explain", {"admin"}},
    {"/kvroute.v1.Fleet/Register", {"register"}},
    {"/kvroute.v1.Fleet/Deregister", {"register"}},
    {"/kvroute.v1.Fleet/SetDraining", {"register"}},
    {"/kvroute.v1.Fleet/List", {"route", "register", "admin"}},
    {"/kvroute.v1.Fleet/Watch", {"route", "register", "admin"}},
    {"/radix_index.RadixIndex/Subscribe", {"route"}},
    {"/radix_index.RadixIndex/Publish", {"route"}},
    {"/grpc.health.v1.Health/Check", {}},
    {"/grpc.health.v1.Health/Watch", {}},
    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", {}},
};
const Table kPages = {
    {"GET /metrics", {"metrics"}},
    {"GET /status", {"metrics", "admin"}},
    {"GET /healthz", {}},
    {"GET /readyz", {}},
};
const Table kJsonPages = {
    {"POST /register", {"register"}},
    {"POST /unregister", {"register"}},
    {"POST /register_peer", {"register"}},
    {"POST /deregister_peer", {"register"}},
    {"POST /query", {"route"}},
    {"POST /query_by_hash", {"route"}},
    {"POST /reopen_logs", {"admin"}},
    {"GET /peers", {"route", "register", "admin"}},
    {"GET /workers", {"route", "register", "admin"}},
    {"GET /dump", {"route", "register", "admin"}},
    {"GET /services", {"route", "register", "admin"}},
    {"GET /health", {}},
};

std::set<std::string> MethodsOf(const std::vector<const google::protobuf::FileDescriptor*>& files) {
  std::set<std::string> methods;
  for (const auto* file : files) {
    for (int s = 0; s < file->service_count(); ++s) {
      const auto* service = file->service(s);
      for (int m = 0; m < service->method_count(); ++m) {
        methods.insert(absl::StrCat("/", service->full_name(), "/", service->method(m)->name()));
      }
    }
  }
  return methods;
}

std::set<std::string> KeysOf(const Table& table) {
  std::set<std::string> keys;
  for (const auto& [key, unused] : table) keys.insert(key);
  return keys;
}

// One empty request, and an answer if there is one; how it ended.
grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                  const std::string& token) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
  grpc::CompletionQueue queue;
  auto call = stub.PrepareCall(&context, method, &queue);
  const auto wait = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  call->StartCall(nullptr);
  wait();
  const grpc::Slice empty("");
  call->WriteLast(grpc::ByteBuffer(&empty, 1), grpc::WriteOptions(), nullptr);
  wait();
  grpc::ByteBuffer answer;
  call->Read(&answer, nullptr);
  if (wait()) context.TryCancel();  // Watch goes on for ever
  grpc::Status status;
  call->Finish(&status, nullptr);
  wait();
  return status;
}

// A caller, and the role that it has; empty: none.
struct Caller {
  TestCaller shows;
  std::string role;
};

class RightsMatrixTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = new RightsServer(); }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }

  static std::vector<Caller> Callers() {
    std::vector<Caller> callers = {{{"nothing", {}, ""}, ""},
                                   {{"unknown token", {}, "0123456789-token-of-nobody"}, ""},
                                   {server_->WithCertificate("stranger.test"), ""}};
    for (const std::string& role : kAllRoles) {
      callers.push_back({server_->WithCertificate(role), role});
      callers.push_back({server_->WithToken(role), role});
    }
    return callers;
  }
  static bool May(const Caller& caller, const std::set<std::string>& who) {
    return who.empty() || who.count(caller.role) != 0;
  }
  // Where it shows a credential that has another role, it is known and may not; else unknown.
  static bool IsKnown(const Caller& caller) { return !caller.role.empty(); }

  static void ExpectCall(const Caller& caller, const std::string& method,
                         const std::set<std::string>& who, const grpc::Status& status) {
    SCOPED_TRACE(absl::StrCat(method, " with ", caller.shows.name));
    const bool refused = status.error_code() == grpc::StatusCode::UNAUTHENTICATED ||
                         status.error_code() == grpc::StatusCode::PERMISSION_DENIED;
    ASSERT_THAT(status.error_message(), Not(HasSubstr("failed to connect")));
    EXPECT_EQ(!refused, May(caller, who)) << status.error_message();
    if (!refused) return;
    EXPECT_EQ(status.error_code(), IsKnown(caller) ? grpc::StatusCode::PERMISSION_DENIED
                                                   : grpc::StatusCode::UNAUTHENTICATED);
    EXPECT_THAT(status.error_message(), HasSubstr(*who.begin()));
    EXPECT_THAT(status.error_message(), Not(HasSubstr("0123456789")));
  }
  static void ExpectPages(const std::string& port_name, const Table& pages) {
    for (const Caller& caller : Callers()) {
      for (const auto& [page, who] : pages) {
        SCOPED_TRACE(absl::StrCat(page, " with ", caller.shows.name));
        const std::vector<std::string> words = absl::StrSplit(page, ' ');
        const HttpReply reply = server_->Http(caller.shows, port_name, words[0], words[1],
                                              words[0] == "POST" ? "{}" : "");
        ASSERT_NE(reply.status, 0);
        const bool refused = reply.status == 401 || reply.status == 403;
        EXPECT_EQ(!refused, May(caller, who)) << reply.status << " " << reply.body;
        if (!refused) continue;
        EXPECT_EQ(reply.status, IsKnown(caller) ? 403 : 401);
        EXPECT_THAT(reply.headers, HasSubstr("WWW-Authenticate: Bearer realm=\"kvroute\""));
        EXPECT_THAT(reply.body, HasSubstr(*who.begin()));
        EXPECT_THAT(reply.body, Not(HasSubstr("0123456789")));
      }
    }
  }

  static RightsServer* server_;
};

RightsServer* RightsMatrixTest::server_ = nullptr;

TEST_F(RightsMatrixTest, NamesEveryMethodThatThereIs) {
  EXPECT_EQ(
      KeysOf(kMethods),
      MethodsOf({v1::RouteRequest::descriptor()->file(), v1::RegisterRequest::descriptor()->file(),
                 radix_index::Query::descriptor()->file(),
                 grpc::health::v1::HealthCheckRequest::descriptor()->file(),
                 grpc::reflection::v1alpha::ServerReflectionRequest::descriptor()->file()}));
}

TEST_F(RightsMatrixTest, NamesEveryPageThatThereIs) {
  for (const auto& [port_name, table] : {std::pair("http", kPages), {"http_json", kJsonPages}}) {
    const HttpReply missing = server_->Http({}, port_name, "GET", "/nothing");
    std::set<std::string> paths, named;
    for (const auto& [page, unused] : table) named.insert(page.substr(page.find('/')));
    for (const auto& word : absl::StrSplit(missing.body, absl::ByAnyChar(" \n"))) {
      if (!word.empty() && word.front() == '/') paths.emplace(word);
    }
    EXPECT_EQ(paths, named) << port_name;
  }
}

TEST_F(RightsMatrixTest, EveryCallOfTheApi) {
  for (const Caller& caller : Callers()) {
    const auto channel = server_->Channel(caller.shows);
    for (const auto& [method, who] : kMethods) {
      ExpectCall(caller, method, who, Call(channel, method, caller.shows.token));
    }
  }
}

TEST_F(RightsMatrixTest, TheEndpointPicker) {
  const std::string process = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";
  for (const Caller& caller : Callers()) {
    const bool shows_certificate = !caller.shows.certificate.key.empty();
    const auto channel =
        server_->Channel(caller.shows, shows_certificate ? "picker" : "picker_plaintext");
    ExpectCall(caller, process, {"route"}, Call(channel, process, caller.shows.token));
    ExpectCall(caller, "/grpc.health.v1.Health/Check", {},
               Call(channel, "/grpc.health.v1.Health/Check", caller.shows.token));
  }
}

TEST_F(RightsMatrixTest, EveryPage) { ExpectPages("http", kPages); }

TEST_F(RightsMatrixTest, EveryPageOfOtherIndexersClients) { ExpectPages("http_json", kJsonPages); }

TEST_F(RightsMatrixTest, TokensOfSeveralCallersOnOneConnectionAreKeptApart) {
  const auto channel = server_->Channel({});
  for (int i = 0; i < 3; ++i) {
    for (const std::string& role : kAllRoles) {
      const Caller caller{server_->WithToken(role), role};
      ExpectCall(caller, "/kvroute.v1.Fleet/List", {"route", "register", "admin"},
                 Call(channel, "/kvroute.v1.Fleet/List", caller.shows.token));
    }
    ExpectCall({{"nothing", {}, ""}, ""}, "/kvroute.v1.Fleet/List", {"route", "register", "admin"},
               Call(channel, "/kvroute.v1.Fleet/List", ""));
  }
}

TEST_F(RightsMatrixTest, AnotherAuthoritysCertificateIsNobodys) {
  testing_support::TestCa other;
  const TestCaller stranger{"another CA", other.Sign("DNS:gateway.test"), ""};
  EXPECT_EQ(Call(server_->Channel(stranger), "/kvroute.v1.Router/Route", "").error_code(),
            grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(server_->Http(stranger, "http", "GET", "/healthz").status, 0);
}

}  // namespace
}  // namespace kvroute
