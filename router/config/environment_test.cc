#include "router/config/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "indexer/base/error.h"

namespace kvroute {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

TEST(EnvironmentTest, EveryFieldOutsideOfListsHasAVariableOfItsOwn) {
  std::set<std::string> names;
  for (const std::string& path : EnvironmentFields()) {
    EXPECT_TRUE(names.insert(EnvironmentNameOf(path)).second) << path;
  }
  EXPECT_TRUE(names.contains("KVROUTE_GRPC_LISTEN"));
  EXPECT_TRUE(names.contains("KVROUTE_GRPC_TLS_KEY_FILE"));
  EXPECT_FALSE(names.contains("KVROUTE_WORKERS"));
}

TEST(EnvironmentTest, FlagsOutrankItAndItOutranksTheFile) {
  ConfigOverrides overrides;
  EXPECT_THAT(TakeEnvironment({"KVROUTE_ROUTING_POLICY=prefix", "KVROUTE_LOG_LEVEL=debug",
                               "KVROUTE_HTTP_THREADS=", "HOME=/root"},
                              &overrides),
              IsEmpty());
  overrides.SetField("--log-level", "log.level", "error");
  const auto config = ParseConfig(
      "routing: {policy: random}\nhttp: {threads: 7}\nlog: {level: info}\n", "k.yaml", overrides);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->routing.policy, PolicyKind::kPrefix);
  EXPECT_EQ(config->http.threads, 7) << "an empty variable says nothing";
  EXPECT_EQ(config->log.level, "error");
  const std::string printed = PrintConfig(*config, overrides.SaidBy());
  EXPECT_THAT(printed, testing::HasSubstr("policy: \"prefix\"  # KVROUTE_ROUTING_POLICY\n"));
  EXPECT_THAT(printed, testing::HasSubstr("level: \"error\"  # --log-level\n"));
  const auto again = ParseConfig(printed, "printed", {});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(PrintConfig(*again), PrintConfig(*config));
}

TEST(EnvironmentTest, AnErrorNamesTheVariable) {
  ConfigOverrides overrides;
  TakeEnvironment({"KVROUTE_HTTP_THREADS=many"}, &overrides);
  EXPECT_THAT(std::string(MessageOf(ParseConfig("", "", overrides).status())),
              StartsWith("KVROUTE_HTTP_THREADS: http.threads: \"many\" is not a whole number"));
}

TEST(EnvironmentTest, ATypoIsSaidAndWhatIsNotMeantForItIsNot) {
  ConfigOverrides overrides;
  EXPECT_THAT(
      TakeEnvironment({"KVROUTE_GRPC_LISEN=x", "KVROUTE_NO_SUCH_THING_AT_ALL=1",
                       "KVROUTE_FUZZ_SECONDS=5", "KVROUTE_SERVICE_HOST=10.0.0.1",
                       "KVROUTE_PORT=tcp://10.0.0.1:50051", "KVROUTE_PORT_9108_TCP_PROTO=tcp",
                       "KVROUTE_GRPC_SERVICE_PORT_HTTP=1", "NOT_KVROUTE_X=1"},
                      &overrides),
      ElementsAre("environment: KVROUTE_GRPC_LISEN: no field has this variable; did you mean "
                  "\"KVROUTE_GRPC_LISTEN\"?",
                  "environment: KVROUTE_NO_SUCH_THING_AT_ALL: no field has this variable"));
}

}  // namespace
}  // namespace kvroute
