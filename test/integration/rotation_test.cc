// Certificates, the client CA, keys and tokens are replaced while calls run: none fails.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "indexer/base/named_thread.h"
#include "kvroute/v1/fleet.grpc.pb.h"
#include "test/integration/rights_server.h"

namespace kvroute {
namespace {

using testing_support::HttpReply;

// Asks over and over, each time on a connection of its own, and over one that stands.
class Load {
 public:
  Load(const RightsServer& server, const TestCaller& grpc_caller, const TestCaller& http_caller)
      : server_(server), grpc_caller_(grpc_caller), http_caller_(http_caller) {
    threads_.emplace_back("load-grpc", [this] { AskGrpc(); });
    threads_.emplace_back("load-http", [this] { AskHttp(); });
  }
  ~Load() { Stop(); }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  void Stop() {
    ending_ = true;
    threads_.clear();
  }
  // Returns when so many more calls of each kind have been answered, or one has failed.
  void AwaitCalls(uint64_t more) const {
    const uint64_t grpc = grpc_calls_, http = http_calls_;
    while (failures_ == 0 && (grpc_calls_ < grpc + more || http_calls_ < http + more)) {
      std::this_thread::yield();
    }
  }
  uint64_t failures() const { return failures_; }

 private:
  void AskGrpc() {
    const auto standing = v1::Fleet::NewStub(server_.Channel(grpc_caller_));
    while (!ending_) {
      List(standing.get());
      List(v1::Fleet::NewStub(server_.Channel(grpc_caller_)).get());
      ++grpc_calls_;
    }
  }
  void List(v1::Fleet::Stub* stub) {
    grpc::ClientContext context;
    if (!grpc_caller_.token.empty()) {
      context.AddMetadata("authorization", "Bearer " + grpc_caller_.token);
    }
    v1::ListResponse response;
    const grpc::Status status = stub->List(&context, {}, &response);
    if (status.ok()) return;
    ++failures_;
    ADD_FAILURE() << status.error_code() << ": " << status.error_message();
  }
  void AskHttp() {
    while (!ending_) {
      const HttpReply reply = server_.Http(http_caller_, "http", "GET", "/status");
      ++http_calls_;
      if (reply.status == 200) continue;
      ++failures_;
      ADD_FAILURE() << reply.status << ": " << reply.body;
    }
  }

  const RightsServer& server_;
  const TestCaller grpc_caller_, http_caller_;
  std::atomic<uint64_t> grpc_calls_{0}, http_calls_{0}, failures_{0};
  std::atomic<bool> ending_{false};
  std::vector<NamedThread> threads_;
};

std::string Changes(const std::string& edge, const std::string& result, int count) {
  return absl::StrCat("kvroute_certificate_changes_total{edge=\"", edge, "\",result=\"", result,
                      "\"} ", count);
}

TEST(Rotation, CertificatesChangeUnderLoad) {
  RightsServer server;
  Load load(server, server.WithCertificate("route"), server.WithCertificate("metrics"));
  for (int round = 1; round <= 3; ++round) {
    load.AwaitCalls(5);
    server.RenewServerCertificate();
    for (const char* edge : {"grpc", "http", "http_json", "picker"}) {
      EXPECT_TRUE(server.AwaitMetric(Changes(edge, "applied", round))) << edge;
    }
  }
  load.AwaitCalls(5);
  EXPECT_EQ(load.failures(), 0u);
}

TEST(Rotation, AClientCaChangesUnderLoad) {
  RightsServer server;
  testing_support::TestCa next;
  const TestCaller of_next{"next CA", next.Sign("DNS:gateway.test"), ""};
  EXPECT_EQ(server.Http(of_next, "http", "GET", "/healthz").status, 0);
  Load load(server, server.WithToken("route"), server.WithCertificate("metrics"));
  load.AwaitCalls(5);
  server.WriteFile("ca.crt", server.ca().pem() + next.pem());  // both, while clients change theirs
  EXPECT_TRUE(server.AwaitMetric(Changes("http", "applied", 1)));
  load.AwaitCalls(5);
  EXPECT_EQ(load.failures(), 0u);
  EXPECT_EQ(server.Http(of_next, "http", "GET", "/healthz").status, 200);
}

TEST(Rotation, ABadCertificateChangesNothing) {
  RightsServer server;
  Load load(server, server.WithToken("route"), server.WithToken("metrics"));
  server.WriteFile("tls.crt", "no certificate");
  EXPECT_TRUE(server.AwaitMetric(Changes("http", "refused", 1)));
  EXPECT_TRUE(server.AwaitMetric(Changes("grpc", "refused", 1)));
  load.AwaitCalls(5);
  EXPECT_EQ(load.failures(), 0u);
  EXPECT_THAT(server.process().Log(), testing::HasSubstr("the certificates before stay in force"));
}

TEST(Rotation, TokensChangeUnderLoad) {
  RightsServer server;
  const std::string both = absl::StrCat("old route ", RightsServer::TokenOf("route"),
                                        "\nnew route 0123456789-renewed-token\n", "m metrics ",
                                        RightsServer::TokenOf("metrics"), "\n");
  const TestCaller renewed{"renewed token", {}, "0123456789-renewed-token"};
  Load load(server, server.WithToken("route"), server.WithToken("metrics"));
  load.AwaitCalls(5);
  server.WriteFile("tokens", both);
  EXPECT_TRUE(server.AwaitMetric("kvroute_token_changes_total{result=\"applied\"} 1"));
  load.AwaitCalls(5);
  Load with_new(server, renewed, server.WithToken("metrics"));
  with_new.AwaitCalls(5);
  EXPECT_EQ(load.failures(), 0u);
  EXPECT_EQ(with_new.failures(), 0u);
}

TEST(Rotation, ATokenThatWentIsNoLongerGood) {
  RightsServer server;
  const TestCaller admin = server.WithToken("admin");
  EXPECT_EQ(server.Http(admin, "http", "GET", "/status").status, 200);
  server.WriteFile("tokens", absl::StrCat("m metrics ", RightsServer::TokenOf("metrics"), "\n"));
  EXPECT_TRUE(server.AwaitMetric("kvroute_token_changes_total{result=\"applied\"} 1"));
  EXPECT_EQ(server.Http(admin, "http", "GET", "/status").status, 401);
  server.WriteFile("tokens", "m metrics short\n");
  EXPECT_TRUE(server.AwaitMetric("kvroute_token_changes_total{result=\"refused\"} 1"));
  EXPECT_THAT(server.process().Log(), testing::HasSubstr("the tokens before stay in force"));
}

}  // namespace
}  // namespace kvroute
