#include "router/config/registration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "indexer/base/error.h"
#include "router/config/parse_config.h"

namespace kvroute {
namespace {

using testing::HasSubstr;

RegistrationRules RulesOf(const std::string& text) {
  const auto config = ParseConfig(text, "k.yaml", {});
  EXPECT_TRUE(config.ok()) << config.status();
  return RegistrationRulesOf(config.value_or(ServeConfig()));
}
std::string RegistrationErrorOf(const std::string& text) {
  return std::string(MessageOf(ParseConfig(text, "k.yaml", {}).status()));
}

TEST(RegistrationRulesOf, LoopbackIsTheClientsOwnWhereNobodyElseAsks) {
  EXPECT_TRUE(RulesOf("").networks.AllowsLoopback());
  EXPECT_TRUE(RulesOf("http_json: {listen: '[::1]:8090'}\n").networks.AllowsLoopback());
  EXPECT_FALSE(RulesOf("grpc: {listen: 0.0.0.0:50051}\n").networks.AllowsLoopback());
  EXPECT_FALSE(RulesOf("http_json: {listen: '[::]:8090'}\n").networks.AllowsLoopback());
  EXPECT_FALSE(RulesOf("").networks.Allows("169.254.169.254"));
}

TEST(RegistrationRulesOf, AListIsTakenAsItIs) {
  const RegistrationRules rules = RulesOf(
      "registration: {networks: '10.0.0.0/8, 127.0.0.0/8', names: '.Svc, engine-0'}\n"
      "grpc: {listen: 0.0.0.0:50051}\n");
  EXPECT_TRUE(rules.networks.AllowsLoopback());
  EXPECT_FALSE(rules.networks.Allows("192.168.0.1"));
  EXPECT_THAT(rules.names, testing::ElementsAre(".svc", "engine-0"));
}

TEST(RegistrationRulesOf, ErrorsNameTheField) {
  EXPECT_THAT(RegistrationErrorOf("registration: {networks: '10.0.0.0/99'}\n"),
              HasSubstr("registration.networks: \"10.0.0.0/99\" is no network"));
  EXPECT_THAT(RegistrationErrorOf("registration: {names: 'a b'}\n"),
              HasSubstr("registration.names: \"a b\" is no host name"));
}

}  // namespace
}  // namespace kvroute
