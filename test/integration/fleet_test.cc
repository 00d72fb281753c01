#include <gtest/gtest.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "test/support/child_process.h"

namespace kvroute {
namespace {

// The real `kvroute serve` and the real `kvroute fleet`, over real sockets, on a small generated
// workload.
class FleetTest : public ::testing::Test {
 protected:
  FleetTest() : serve_({"serve", "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"}) {
    port_ = ChildProcess::PortOf(serve_.ReadLine(), "grpc");
    EXPECT_NE(port_, 0) << serve_.ReadStderr();
  }
  ~FleetTest() override {
    serve_.Signal(SIGTERM);
    EXPECT_EQ(serve_.Wait(), 0) << serve_.ReadStderr();
  }

  // Runs the fleet to its end, which must be a success, and returns its report.
  nlohmann::json Run(const std::vector<std::string>& flags) {
    std::vector<std::string> arguments = {"fleet",
                                          "--kvroute",
                                          absl::StrCat("127.0.0.1:", port_),
                                          "--json",
                                          "-",
                                          "--workers",
                                          "4",
                                          "--blocks-per-worker",
                                          "10000",
                                          "--requests",
                                          "200",
                                          "--max-oracle-gap",
                                          "100"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    ChildProcess fleet(arguments);
    std::string text;
    while (true) {
      const std::string line = fleet.ReadLine();
      absl::StrAppend(&text, line, "\n");
      if (line.empty() || line == "}") break;  // the report's last line
    }
    EXPECT_EQ(fleet.Wait(), 0) << fleet.ReadStderr();
    return nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  }
  static void ExpectNothingWrong(const nlohmann::json& policy) {
    EXPECT_EQ(policy["requests"], 200);
    EXPECT_EQ(policy["predictions_over"], 0);
    EXPECT_EQ(policy["predictions_under"], 0);
  }

  ChildProcess serve_;
  int port_ = 0;
};

TEST_F(FleetTest, SettledPredictionsAreAllRightInEveryWireStyle) {
  const nlohmann::json report = Run(
      {"--policies", "lmetric,oracle:lmetric,round_robin", "--settle", "--ranks", "2", "--speedup",
       "0", "--style", "vllm_positional,vllm_map,vllm_bytes,sglang_map", "--min-checked", "1"});
  ASSERT_TRUE(report.is_object());
  EXPECT_EQ(report["workers"], 4);
  const nlohmann::json& asked = report["policies"]["lmetric"];
  ExpectNothingWrong(asked);
  EXPECT_EQ(asked["predictions_equal"], 200);
  EXPECT_EQ(asked["predictions_not_exact"], 0);
  EXPECT_GT(asked["hit_rate"], report["policies"]["round_robin"]["hit_rate"]);
}

TEST_F(FleetTest, MisbehavingEnginesNeverMakeAnExactAnswerWrong) {
  const nlohmann::json report =
      Run({"--policies", "lmetric", "--speedup", "20", "--min-checked", "0.1", "--misbehave",
           "drop:w0@10s:3,lose:w1@15s:2,corrupt:w2@20s:1,duplicate:w3@20s:5,restart:w0@25s:2,clear:"
           "w3@30s,"
           "cut:w1@35s:3,renumber:w2@40s,pause:w3@45s:2"});
  ASSERT_TRUE(report.is_object());
  ExpectNothingWrong(report["policies"]["lmetric"]);
}

}  // namespace
}  // namespace kvroute
