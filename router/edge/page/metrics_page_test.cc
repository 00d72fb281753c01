#include "router/edge/page/metrics_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <set>

#include "indexer/telemetry/process_metrics.h"
#include "test/support/fake_render_transport.h"

namespace kvroute {
namespace {

using testing::HasSubstr;
using testing::Not;

// Every counter of the program set to something else than zero.
class MetricsPageTest : public testing::Test {
 protected:
  MetricsPageTest() {
    uint64_t next = 1;
    for (size_t i = 0; i < kEngineKindCount * kEventTypeCount * kEventOutcomeCount; ++i) {
      ingest_.events.Add(i, next++);
    }
    for (size_t i = 0; i < kEngineKindCount * kBlockOutcomeCount; ++i) {
      ingest_.blocks.Add(i, next++);
    }
    for (auto& counter : ingest_.skipped_events) counter = next++;
    for (auto& counter : ingest_.rejected_batches) counter = next++;
    ingest_.apply_latency.Observe(std::chrono::microseconds(5));
    ingest_.publish_lag.Observe(std::chrono::milliseconds(5));
    ingest_.turn_duration.Observe(std::chrono::milliseconds(5));
    for (auto& method : routing_.requests) {
      for (auto& code : method) code = next++;
    }
    for (auto& policy : routing_.decisions) {
      for (auto& reason : policy) reason = next++;
    }
    for (auto& trust : routing_.trusts) {
      for (auto& reason : trust) reason = next++;
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
    const Prediction prediction{32, 100, 16, Trust::kExact, Prediction::State::kMade};
    CountAnswer({{100, 48, 7}, UsageEnd::kFound}, {fleet_.targets.back().load, prediction},
                &routing_.audit);
  }

  Exposition Page(bool per_stream) const {
    Exposition out;
    AddBuildInfo(&out);
    out.Add(Metric::kReady, 1);
    out.Add(Metric::kConfigReloads, {"failed"}, 0);
    out.Add(Metric::kConfigLastReload, 1.7e9);
    out.Add(Metric::kHttpRequests, {"200"}, 5);
    out.Add(Metric::kHttpEvicted, 0);
    out.Add(Metric::kHttpJsonRequests, {"200"}, 5);
    out.Add(Metric::kHttpJsonEvicted, 1);
    out.Add(Metric::kLogDropped, 0);
    out.Add(Metric::kThreadStalled, {"ingest-0"}, 0);
    AddIngestMetrics(ingest_, &out);
    AddIndexMetrics(
        {.streams = 2, .holdings = 100, .distinct_blocks = 90, .runs = 3, .bytes = 4096}, &out);
    MemoryReport memory{.limit_bytes = 1'000, .used_bytes = 400, .parts = {}};
    memory.parts[static_cast<size_t>(MemoryPart::kHeld)] = {100, 30, 2};
    AddMemoryMetrics(memory, &out);
    AddDiscoveryMetrics(FoundAndAsked(), &out);
    LoadTrackerStats leases;
    leases.leases = 1;
    leases.begun = 5;
    leases.ended = 3;
    leases.expired = 1;
    leases.in_flight.prompts = 1;
    AddRoutingMetrics(routing_, leases, &out);
    AddRenderMetrics(renderer_, &out);
    AddFleetMetrics(fleet_, per_stream, &out);
    AddProcessMetrics(&out);
    return out;
  }

  static DiscoveryReport FoundAndAsked() {
    DiscoveryReport report;
    report.finders = {{.name = "pods",
                       .up = true,
                       .state = "watching",
                       .events = 7,
                       .troubles = {{"expired", 2}}}};
    report.owners = {{.source = "kubernetes",
                      .refused = 1,
                      .last_refusal = "taken",
                      .unknown_models = 3,
                      .event_sources = 2,
                      .refused_event_sources = 4}};
    report.scrapes = true;
    report.engines_asked = 4;
    report.scrape_results = {{"load", 9}};
    report.pushes = true;
    report.engines_pushing = 6;
    report.load_messages = {{"taken", 8}};
    report.transfers = {{"reply", 11}};
    return report;
  }

  FakeClock clock_;
  FakeRenderTransport transport_{&clock_, [](const auto&) { return RenderTransport::Reply(); }};
  HttpRenderer renderer_{{}, &transport_, &clock_};
  IngestCounters ingest_;
  RoutingStats routing_;
  FleetSnapshot fleet_;
};

TEST_F(MetricsPageTest, HasEveryMetricOfTheTable) {
  std::set<std::string> names;
  for (const auto& family : Page(true).Families()) names.insert(family.name);
  for (const MetricDef& def : kMetrics) {
    if (def.name.starts_with("kvroute_picker_")) continue;       // AddPickerMetrics has them
    if (def.name.starts_with("kvroute_certificate_")) continue;  // AddCertificateMetrics
    if (def.name.starts_with("kvroute_rights_")) continue;       // Rights::AddMetrics
    if (def.name.starts_with("kvroute_token_")) continue;        // the same
    EXPECT_EQ(names.count(std::string(def.name)), 1u) << def.name;
  }
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

TEST_F(MetricsPageTest, SaysWhatWasFoundAndAsked) {
  const std::string text = Page(false).Text();
  EXPECT_THAT(text, HasSubstr("kvroute_discovery_up{finder=\"pods\"} 1\n"));
  EXPECT_THAT(text,
              HasSubstr("kvroute_discovery_troubles_total{finder=\"pods\",reason=\"expired\"} 2"));
  EXPECT_THAT(text, HasSubstr("kvroute_discovery_refused_workers{source=\"kubernetes\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_discovery_unknown_models{source=\"kubernetes\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_discovery_event_sources{source=\"kubernetes\"} 2\n"));
  EXPECT_THAT(
      text, HasSubstr("kvroute_discovery_event_sources_refused_total{source=\"kubernetes\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_engine_scrapes_total{result=\"load\"} 9\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_load_messages_total{result=\"taken\"} 8\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_engines_pushing 6\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_http_client_transfers_total{end=\"reply\"} 11\n"));
}

TEST_F(MetricsPageTest, EachPartOfTheMemoryHasItsLimitAndUse) {
  const std::string text = Page(false).Text();
  EXPECT_THAT(text, HasSubstr("kvroute_memory_limit_bytes{part=\"process\"} 1000\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_memory_used_bytes{part=\"process\"} 400\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_memory_limit_bytes{part=\"held\"} 100\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_memory_used_bytes{part=\"held\"} 30\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_memory_refused_total{part=\"held\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_memory_limit_bytes{part=\"grpc\"} 0\n"));
  EXPECT_THAT(text, Not(HasSubstr("kvroute_memory_used_bytes{part=\"grpc\"}")));
}

TEST_F(MetricsPageTest, PredictionsStandBesideWhatEnginesSay) {
  const std::string text = Page(true).Text();
  EXPECT_THAT(text, HasSubstr("kvroute_audit_answers_total{usage=\"found\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_audit_results_total{result=\"compared\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_audit_answer_tokens_total{kind=\"output\"} 14\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_audit_predicted_tokens_total{trust=\"exact\"} 64\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_audit_cached_tokens_total{trust=\"exact\"} 96\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_audit_error_tokens_bucket{trust=\"exact\",le=\"15\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_audit_error_tokens_bucket{trust=\"exact\",le=\"63\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_audit_error_tokens_sum{trust=\"exact\"} 32\n"));
  EXPECT_THAT(text, HasSubstr("kvroute_stream_audit_error_tokens_count{worker=\"w1\",rank=\"0\","
                              "trust=\"exact\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("kvroute_audit_predicted_tokens_total{trust=\"cold\"}")));
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
