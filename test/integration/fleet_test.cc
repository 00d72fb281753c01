#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "test/support/child_process.h"

namespace kvroute {
namespace {

using ::testing::HasSubstr;

// The real `kvroute serve` and the real `kvroute fleet`, over real sockets, on a small generated
// workload.
class FleetTest : public ::testing::Test {
 protected:
  FleetTest()
      : serve_({"serve", "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--set",
                "routing.tie_break_seed=1"}) {
    port_ = ChildProcess::PortOf(serve_.ReadLine(), "grpc");
    EXPECT_NE(port_, 0) << serve_.ReadStderr();
  }
  ~FleetTest() override {
    serve_.Signal(SIGTERM);
    EXPECT_EQ(serve_.Wait(), 0) << serve_.ReadStderr();
  }

  // Runs the fleet to its end, which must have that status, and returns its report.
  nlohmann::json Run(const std::vector<std::string>& flags, int expected_status = 0) {
    std::vector<std::string> arguments = {"fleet",
                                          "--server",
                                          absl::StrCat("127.0.0.1:", port_),
                                          "--json",
                                          "-",
                                          "--workers",
                                          "4",
                                          "--blocks-per-worker",
                                          "10000",
                                          "--requests",
                                          "200"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    ChildProcess fleet(arguments);
    std::string text;
    while (true) {
      const std::string line = fleet.ReadLine();
      absl::StrAppend(&text, line, "\n");
      if (line.empty() || line == "}") break;  // the report's last line
    }
    EXPECT_EQ(fleet.Wait(), expected_status) << fleet.ReadStderr();
    stderr_ = fleet.ReadStderr();
    return nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  }
  static void ExpectNothingWrong(const nlohmann::json& policy) {
    EXPECT_EQ(policy["requests"], 200);
    EXPECT_EQ(policy["predictions_over"], 0);
    EXPECT_EQ(policy["predictions_under"], 0);
  }

  ChildProcess serve_;
  int port_ = 0;
  std::string stderr_;  // of the fleet's last run
};

TEST_F(FleetTest, InLockStepEveryDecisionIsTheOraclesInEveryWireStyle) {
  const nlohmann::json report =
      Run({"--policies",
           "work,oracle:work,lmetric,oracle:lmetric,lpwl,oracle:lpwl,prefix,oracle:prefix,kvroute:"
           "random,oracle:random,round_robin",
           "--ranks", "2", "--style", "vllm_positional,vllm_map,vllm_bytes,sglang_map"});
  ASSERT_TRUE(report.is_object());
  EXPECT_EQ(report["workers"], 4);
  const nlohmann::json& policies = report["policies"];
  for (const auto& [asked, oracle] :
       {std::pair("work", "oracle:work"), std::pair("lmetric", "oracle:lmetric"),
        std::pair("lpwl", "oracle:lpwl"), std::pair("prefix", "oracle:prefix"),
        std::pair("kvroute:random", "oracle:random")}) {
    SCOPED_TRACE(asked);
    ExpectNothingWrong(policies[asked]);
    EXPECT_EQ(policies[asked]["predictions_equal"], 200);
    EXPECT_EQ(policies[asked]["predictions_not_exact"], 0);
    EXPECT_EQ(policies[asked]["decisions_as_oracle"], 200);
    EXPECT_EQ(policies[asked]["hit_rate"], policies[oracle]["hit_rate"]);
    EXPECT_EQ(policies[asked]["ttft_ms"], policies[oracle]["ttft_ms"]);
    EXPECT_EQ(policies[asked]["imbalance"], policies[oracle]["imbalance"]);
  }
  EXPECT_GT(policies["work"]["hit_rate"], policies["round_robin"]["hit_rate"]);
}

// The planted wrong decision: kvroute draws ties from another seed than the oracle.
TEST_F(FleetTest, InLockStepTheFirstDecisionThatDiffersIsNamed) {
  const nlohmann::json report =
      Run({"--policies", "work,oracle:work", "--seed", "2"}, /*expected_status=*/1);
  ASSERT_TRUE(report.is_object());
  ExpectNothingWrong(report["policies"]["work"]);
  EXPECT_LT(report["policies"]["work"]["decisions_as_oracle"], 200);
  EXPECT_THAT(stderr_,
              HasSubstr("is the first whose decision is not the oracle's: kvroute chose w"));
  EXPECT_THAT(stderr_, HasSubstr("routing.tie_break_seed=2"));
}

TEST_F(FleetTest, APacedRunIsNotJudgedByItsOracle) {
  const nlohmann::json report =
      Run({"--policies", "work,oracle:work", "--paced", "--speedup", "0", "--seed", "2"});
  ASSERT_TRUE(report.is_object());
  ExpectNothingWrong(report["policies"]["work"]);
}

TEST_F(FleetTest, MisbehavingEnginesNeverMakeAnExactAnswerWrong) {
  const nlohmann::json report =
      Run({"--policies", "work", "--speedup", "20", "--min-checked", "0.1", "--misbehave",
           "drop:w0@10s:3,lose:w1@15s:2,corrupt:w2@20s:1,duplicate:w3@20s:5,restart:w0@25s:2,clear:"
           "w3@30s,"
           "cut:w1@35s:3,renumber:w2@40s,pause:w3@45s:2"});
  ASSERT_TRUE(report.is_object());
  ExpectNothingWrong(report["policies"]["work"]);
}

}  // namespace
}  // namespace kvroute
