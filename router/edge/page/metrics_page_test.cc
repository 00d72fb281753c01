#include "router/edge/page/metrics_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <set>

#include "indexer/telemetry/process_metrics.h"

namespace kvroute {
namespace {

using testing::HasSubstr;
using testing::Not;

// Every counter of the program set to something else than zero.
class MetricsPageTest : public testing::Test {
 protected:
  MetricsPageTest() {
    uint64_t next = 1;
    for (auto& engine : ingest_.events) {
      for (auto& type : engine) {
        for (auto& outcome : type) outcome = next++;
      }
    }
    for (auto& engine : ingest_.blocks) {
      for (auto& outcome : engine) outcome = next++;
    }
    for (auto& counter : ingest_.skipped_events) counter = next++;
    for (auto& counter : ingest_.rejected_batches) counter = next++;
    ingest_.apply_latency.Observe(std::chrono::microseconds(5));
    ingest_.publish_lag.Observe(std::chrono::milliseconds(5));
    for (auto& method : routing_.requests) {
      for (auto& code : method) code = next++;
    }
    for (auto& policy : routing_.decisions) {
      for (auto& reason : policy) reason = next++;
    }
    routing_.matched_tenths[0] = 2;
    routing_.matched_tenths[10] = 3;
    routing_.route_latency.Observe(std::chrono::microseconds(20));
    for (const char* id : {"w0", "w1"}) AddWorker(id);
  }

  void AddWorker(const std::string& id) {
    auto worker = std::make_shared<FleetWorker>();
    worker->spec.worker_id = id;
    worker->source = WorkerSource::kConfig;
    worker->draining = id == "w1";
    auto stream = std::make_shared<StreamStatus>();
    stream->trust = Trust::kExact;
    stream->reason = TrustReason::kReplayComplete;
    stream->gaps = 7;
    fleet_.targets.push_back({worker, 0, stream, std::make_shared<TargetLoad>()});
  }

  Exposition Page(bool per_stream) const {
    Exposition out;
    AddBuildInfo(&out);
    out.Add(Metric::kReady, 1);
    out.Add(Metric::kConfigReloads, {"failed"}, 0);
    out.Add(Metric::kConfigLastReload, 1.7e9);
    out.Add(Metric::kHttpRequests, {"200"}, 5);
    out.Add(Metric::kHttpEvicted, 0);
    out.Add(Metric::kLogDropped, 0);
    AddIngestMetrics(ingest_, &out);
    AddIndexMetrics(
        {.streams = 2, .holdings = 100, .distinct_blocks = 90, .runs = 3, .bytes = 4096}, &out);
    AddRoutingMetrics(routing_, {.leases = 1, .begun = 5, .ended = 3, .expired = 1}, &out);
    AddFleetMetrics(fleet_, per_stream, &out);
    AddProcessMetrics(&out);
    return out;
  }

  IngestCounters ingest_;
  RoutingStats routing_;
  FleetSnapshot fleet_;
};

TEST_F(MetricsPageTest, HasEveryMetricOfTheTable) {
  std::set<std::string> names;
  for (const auto& family : Page(true).Families()) names.insert(family.name);
  for (const MetricDef& def : kMetrics)
    EXPECT_EQ(names.count(std::string(def.name)), 1u) << def.name;
}

TEST_F(MetricsPageTest, PromtoolFindsNothingWrong) {
  const std::string path = testing::TempDir() + "metrics" + std::to_string(getpid());
  std::ofstream(path) << Page(true).Text();
  const int status = std::system(("promtool check metrics < " + path + " >&2").c_str());
  EXPECT_EQ(status, 0) << "promtool (Debian package prometheus) must be installed and content";
  std::remove(path.c_str());
}

TEST_F(MetricsPageTest, CountsStreamsByTrustAndWorkersByState) {
  const std::string text = Page(false).Text();
  EXPECT_THAT(text, HasSubstr("kvroute_streams{trust=\"exact\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_streams{trust=\"stale\"} 0\n"));
  EXPECT_THAT(
      text, HasSubstr("kvroute_streams_by_reason{trust=\"exact\",reason=\"replay_complete\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_workers{source=\"config\",state=\"serving\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_workers{source=\"config\",state=\"draining\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_matched_fraction_ratio_bucket{le=\"0\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_matched_fraction_ratio_count 5\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_leases_ended_total{how=\"expired\"} 1\n"));
}

TEST_F(MetricsPageTest, PerStreamMetricsCanBeSwitchedOff) {
  const std::string sample = "kvroute_stream_gaps_total{worker=\"w1\",rank=\"0\"} 7\n";
  EXPECT_THAT(Page(true).Text(), HasSubstr(sample));
  EXPECT_THAT(Page(true).Text(),
              HasSubstr("kvroute_stream_trust{worker=\"w0\",rank=\"0\",trust=\"exact\"} 1\n"));
  EXPECT_THAT(Page(false).Text(), Not(HasSubstr("kvroute_stream_")));
}

}  // namespace
}  // namespace kvroute
