// Commands that ask a running kvroute, where it asks for roles: with a token, with a certificate.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "test/integration/rights_server.h"
#include "test/support/child_process.h"

namespace kvroute {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr int kDone = 0, kUnusable = 2, kRefused = 3;

struct Ended {
  int status;
  std::string said;  // on standard error
};

class RightsCommandsTest : public testing::Test {
 protected:
  // `words`, at the server's `port_name`, its certificate checked.
  Ended Run(std::vector<std::string> words, const std::string& scheme, const std::string& port_name,
            const std::vector<std::string>& shown) {
    words.insert(
        words.end(),
        {"--server", absl::StrCat(scheme, "://127.0.0.1:", server_.process().PortOf(port_name)),
         "--ca-file", server_.PathOf("ca.crt")});
    words.insert(words.end(), shown.begin(), shown.end());
    ChildProcess process(words);
    const int status = process.Wait();
    return {status, process.ReadStderr()};
  }
  Ended List(const std::vector<std::string>& shown) {
    return Run({"list"}, "grpcs", "grpc", shown);
  }
  Ended Top(const std::vector<std::string>& shown) {
    return Run({"top", "--once"}, "https", "http", shown);
  }
  std::vector<std::string> Token(const std::string& role) {
    server_.WriteFile("token", RightsServer::TokenOf(role) + "\n");
    return {"--token-file", server_.PathOf("token")};
  }
  std::vector<std::string> Certificate(const std::string& role) {
    const TestCaller caller = server_.WithCertificate(role);
    server_.WriteFile("own.crt", caller.certificate.certificate);
    server_.WriteFile("own.key", caller.certificate.key);
    return {"--cert-file", server_.PathOf("own.crt"), "--key-file", server_.PathOf("own.key")};
  }

  RightsServer server_;
};

TEST_F(RightsCommandsTest, ATokenIsShownToTheApi) {
  EXPECT_EQ(List(Token("route")).status, kDone);
  const Ended metrics = List(Token("metrics"));
  EXPECT_EQ(metrics.status, kRefused);
  EXPECT_THAT(metrics.said, AllOf(HasSubstr("needs one of the roles route, register, admin"),
                                  Not(HasSubstr(RightsServer::TokenOf("metrics")))));
  const Ended nothing = List({});
  EXPECT_EQ(nothing.status, kRefused);
  EXPECT_THAT(nothing.said, HasSubstr("no token was shown"));
}

TEST_F(RightsCommandsTest, ACertificateIsShownToTheApi) {
  EXPECT_EQ(List(Certificate("register")).status, kDone);
  EXPECT_EQ(List(Certificate("metrics")).status, kRefused);
}

TEST_F(RightsCommandsTest, BothAreShownToPages) {
  EXPECT_EQ(Top(Token("metrics")).status, kDone);
  EXPECT_EQ(Top(Certificate("metrics")).status, kDone);
  const Ended route = Top(Token("route"));
  EXPECT_EQ(route.status, kUnusable);
  EXPECT_THAT(route.said, HasSubstr("/metrics answers 403: metrics: needs the role metrics"));
  EXPECT_THAT(Top({}).said, HasSubstr("/metrics answers 401: metrics: needs the role metrics"));
}

}  // namespace
}  // namespace kvroute
