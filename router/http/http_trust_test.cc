// Names, TLS and tokens: whom the client talks to, and who it says it is.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "router/http/http_client.h"
#include "test/support/fake_http_server.h"
#include "test/support/fake_names.h"
#include "test/support/http_asking.h"

namespace kvroute::testing_support {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

void Answer(FakeHttpExchange* exchange) {
  exchange->Reply(200, exchange->Header("host") + " " + exchange->Header("authorization"));
}

class HttpNamesTest : public testing::Test {
 protected:
  ~HttpNamesTest() override { names_->Release(); }

  HttpRequest At(const std::string& host) const {
    return GetOf("http://" + host + ":" + std::to_string(server_.port()) + "/");
  }

  const std::shared_ptr<FakeNames> names_ = std::make_shared<FakeNames>();
  FakeHttpServer server_{&Answer};
  const std::unique_ptr<HttpClient> client_ = StartedHttpClient({.names = names_});
};

TEST_F(HttpNamesTest, AreAskedForOnceAndRemembered) {
  names_->Set("engine.local", {"127.0.0.1"});
  for (int i = 0; i < 3; ++i) {
    const HttpReply reply = Ask(client_.get(), At("Engine.Local"));
    EXPECT_TRUE(reply.ok()) << reply.message;
    EXPECT_THAT(reply.body, HasSubstr("ngine.")) << "the host as it was asked for";
  }
  EXPECT_EQ(names_->asked(), 1);
}

TEST_F(HttpNamesTest, OfSeveralAddressesOneThatAnswersIsTaken) {
  names_->Set("two", {"::1", "127.0.0.1"});  // nobody listens at the first
  EXPECT_TRUE(Ask(client_.get(), At("two")).ok());
}

TEST_F(HttpNamesTest, OneThatNobodyKnowsIsSaid) {
  const HttpReply reply = Ask(client_.get(), At("nobody"));
  EXPECT_EQ(reply.end, HttpEnd::kName);
  EXPECT_THAT(reply.message, HasSubstr("nobody: no_such_host"));
}

// A name server that does not answer holds nobody but those who need it, and them not for long.
TEST_F(HttpNamesTest, ASilentNameServerHoldsNobodyElse) {
  Asked silent(client_.get(), At("silent-1"));
  names_->AwaitAsked(1);
  names_->Set("engine", {"127.0.0.1"});
  EXPECT_TRUE(Ask(client_.get(), At("engine")).ok());
  EXPECT_FALSE(silent.HasEnded());
  HttpRequest impatient = At("silent-1");
  impatient.connect_timeout = milliseconds(20);
  EXPECT_EQ(Ask(client_.get(), impatient).end, HttpEnd::kName);
  EXPECT_EQ(names_->asked(), 2) << "one question a name";
  client_->Cancel(silent.id);
  EXPECT_EQ(silent.Wait().end, HttpEnd::kCancelled);
}

class HttpTlsTest : public testing::Test {
 protected:
  FakeHttpServer::Options Served() const {
    return {.certificate_file = certificates_.certificate_file, .key_file = certificates_.key_file};
  }
  HttpRequest Trusting(const std::string& url) const {
    HttpRequest request = GetOf(url);
    request.tls.ca_file = certificates_.ca_file;
    return request;
  }

  const TestCertificates certificates_;
  const std::shared_ptr<FakeNames> names_ = std::make_shared<FakeNames>();
  const std::unique_ptr<HttpClient> client_ = StartedHttpClient({.names = names_});
};

TEST_F(HttpTlsTest, TrustsWhomItIsToldToTrust) {
  FakeHttpServer server(Served(), &Answer);
  EXPECT_TRUE(Ask(client_.get(), Trusting(server.Url("/"))).ok());
  EXPECT_EQ(Ask(client_.get(), GetOf(server.Url("/"))).end, HttpEnd::kTls) << "not the system's CA";
  HttpRequest insecure = GetOf(server.Url("/"));
  insecure.tls.insecure = true;
  EXPECT_TRUE(Ask(client_.get(), insecure).ok());
  const TestCertificates others;
  HttpRequest wrong = GetOf(server.Url("/"));
  wrong.tls.ca_file = others.ca_file;
  const HttpReply reply = Ask(client_.get(), wrong);
  EXPECT_EQ(reply.end, HttpEnd::kTls);
  EXPECT_THAT(reply.message, HasSubstr("certificate"));
  wrong.tls.ca_file = "/nowhere/ca.pem";
  EXPECT_EQ(Ask(client_.get(), wrong).end, HttpEnd::kTls);
}

TEST_F(HttpTlsTest, TheNameMustBeTheCertificates) {
  FakeHttpServer server(Served(), &Answer);
  names_->Set("localhost", {"127.0.0.1"});
  names_->Set("other.example", {"127.0.0.1"});
  const std::string rest = ":" + std::to_string(server.port()) + "/";
  EXPECT_TRUE(Ask(client_.get(), Trusting("https://localhost" + rest)).ok());
  EXPECT_EQ(Ask(client_.get(), Trusting("https://other.example" + rest)).end, HttpEnd::kTls);
}

TEST_F(HttpTlsTest, ShowsItsOwnCertificateWhereOneIsAskedFor) {
  FakeHttpServer::Options options = Served();
  options.client_ca_file = certificates_.ca_file;
  FakeHttpServer server(options, &Answer);
  HttpRequest request = Trusting(server.Url("/"));
  EXPECT_FALSE(Ask(client_.get(), request).ok());
  request.tls.certificate_file = certificates_.certificate_file;
  request.tls.key_file = certificates_.key_file;
  const HttpReply reply = Ask(client_.get(), request);
  EXPECT_TRUE(reply.ok()) << reply.message;
}

TEST_F(HttpTlsTest, PlainTextWhereTlsIsExpectedIsSaid) {
  FakeHttpServer server([](FakeHttpExchange*) {});  // waits for a request that it can read
  HttpRequest request = Trusting("https://127.0.0.1:" + std::to_string(server.port()) + "/");
  request.connect_timeout = milliseconds(50);
  EXPECT_EQ(Ask(client_.get(), request).end, HttpEnd::kConnect);
}

TEST_F(HttpTlsTest, TheTokenIsReadAnewForEachRequest) {
  FakeHttpServer server(&Answer);
  HttpRequest request = GetOf(server.Url("/"));
  request.bearer_token_file = certificates_.folder + "/token";
  EXPECT_EQ(Ask(client_.get(), request).end, HttpEnd::kToken);
  for (const char* token : {"first", "second"}) {
    std::ofstream(request.bearer_token_file) << token << "\n";
    EXPECT_THAT(Ask(client_.get(), request).body, HasSubstr("Bearer " + std::string(token)));
  }
  std::ofstream(request.bearer_token_file) << "two\r\nX: injected\n";
  const HttpReply reply = Ask(client_.get(), request);
  EXPECT_EQ(reply.end, HttpEnd::kToken);
  EXPECT_THAT(reply.message, testing::Not(HasSubstr("injected")));
}

}  // namespace
}  // namespace kvroute::testing_support
