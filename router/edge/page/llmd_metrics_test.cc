// Figures under the names of llm-d's picker.
#include "router/edge/page/llmd_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "test/support/routing_fixture.h"

namespace kvroute {
namespace {

using testing::HasSubstr;
using testing::Not;

class LlmdMetricsTest : public testing::Test, protected RoutingFixture {
 protected:
  LlmdMetricsTest() {
    for (const char* id : {"ns/a", "ns/b"}) {
      WorkerSpec spec = Spec(id);
      spec.address = std::string("10.0.0.") + (id[3] == 'a' ? "1" : "2") + ":8000";
      spec.model = "a \"model\"";
      AddWorker(spec);
    }
  }
  std::string Page() {
    return LlmdMetricsText(
        {"pool", fleet_.Snapshot().get(), &stats_, &ingest_, {{"ServiceUnavailable", 3}}});
  }
  void RouteOne() {
    Query query;
    const std::vector<TokenId> tokens = Tokens(16);
    query.model = "a \"model\"";
    query.prompt.token_ids = tokens;
    Decision decision;
    ASSERT_TRUE(router_.Route(query, &decision).ok());
  }
  void Say(const std::string& worker, uint32_t waiting, uint32_t running, uint32_t usage) {
    const auto fleet = fleet_.Snapshot();
    EngineReport& said = fleet->targets[*fleet->FindTarget(worker, 0)].load->engine;
    said.waiting = waiting;
    said.running = running;
    said.kv_usage_millionths = usage;
    said.is_fresh = true;
  }

  IngestCounters ingest_;
};

TEST_F(LlmdMetricsTest, CountsRequestsByTheFleetsModels) {
  Store("ns/a", Tokens(16));
  for (int i = 0; i < 3; ++i) RouteOne();
  Query unknown;
  unknown.model = "of a client's invention";
  Decision decision;
  EXPECT_FALSE(router_.Route(unknown, &decision).ok());
  const std::string page = Page();
  const std::string labels =
      R"({model_name="a \"model\"",target_model_name="a \"model\"",fairness_id="default-flow",priority="0"})";
  EXPECT_THAT(page, HasSubstr("llm_d_epp_request_total" + labels + " 3\n"));
  EXPECT_THAT(page, HasSubstr("llm_d_epp_request_running" + labels + " 3\n"));
  EXPECT_THAT(page, HasSubstr("error_code=\"ServiceUnavailable\"} 3\n"));
  EXPECT_THAT(page, Not(HasSubstr("invention"))) << "a client would make series";
  EXPECT_THAT(page, HasSubstr("llm_d_epp_scheduler_attempts_total{status=\"failure\",target_model_"
                              "name=\"\",endpoint_name=\"\",namespace=\"\",port=\"\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("endpoint_name=\"a\",namespace=\"ns\",port=\"8000\"}"));
  EXPECT_THAT(page, HasSubstr("llm_d_epp_scheduler_e2e_duration_seconds_count 4\n"));
  EXPECT_THAT(page, HasSubstr("kvcache_index_lookup_requests_total 3\n"));
  EXPECT_THAT(page, HasSubstr("llm_d_epp_kv_cache_index_lookup_hits_total "));
}

TEST_F(LlmdMetricsTest, AveragesAreOfEnginesThatSaySomething) {
  EXPECT_THAT(Page(), HasSubstr("llm_d_epp_ready_endpoints{name=\"pool\"} 2\n"));
  EXPECT_THAT(Page(), Not(HasSubstr("average"))) << "rather nothing than zeros";
  Say("ns/a", 4, 8, 500'000);
  std::string page = Page();
  EXPECT_THAT(page, HasSubstr("llm_d_epp_average_queue_size{name=\"pool\"} 4\n"));
  Say("ns/b", 0, 2, 100'000);
  page = Page();
  EXPECT_THAT(page, HasSubstr("llm_d_epp_average_queue_size{name=\"pool\"} 2\n"));
  EXPECT_THAT(page, HasSubstr("llm_d_epp_average_running_requests{name=\"pool\"} 5\n"));
  EXPECT_THAT(page, HasSubstr("llm_d_epp_average_kv_cache_utilization{name=\"pool\"} 0.3\n"));
  EXPECT_THAT(page, HasSubstr("llm_d_epp_per_endpoint_queue_size{name=\"pool\","
                              "model_server_endpoint=\"10.0.0.1:8000\"} 4\n"));
}

// Of each family one head before its samples, and no series twice.
TEST_F(LlmdMetricsTest, IsPrometheusText) {
  RouteOne();
  Say("ns/a", 1, 1, 1);
  std::istringstream page(Page());
  std::set<std::string> families, series;
  std::string line, family;
  while (std::getline(page, line)) {
    if (line.starts_with("# TYPE ")) {
      family = line.substr(7, line.find(' ', 7) - 7);
      EXPECT_TRUE(families.insert(family).second) << family;
      continue;
    }
    EXPECT_TRUE(line.starts_with(family)) << line;
    EXPECT_TRUE(series.insert(line.substr(0, line.rfind(' '))).second) << line;
  }
  EXPECT_GE(families.size(), 18u);
}

}  // namespace
}  // namespace kvroute
