// Fleets of many engines that come and go: what it does to decisions, how soon a change is seen,
// and what asking all of them for their load costs.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "indexer/base/check.h"
#include "router/fleet/discovery/kubernetes.h"
#include "router/fleet/discovery/worker_feed.h"
#include "router/fleet/scrape/scraper.h"
#include "test/benchmark/support/http_side.h"
#include "test/benchmark/support/picker_contest.h"
#include "test/benchmark/support/processor_time.h"
#include "test/support/fake_kube_api.h"
#include "test/support/http_asking.h"
#include "test/support/routing_fixture.h"

namespace kvroute {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing_support::FakeKubeApi;
using testing_support::FakePod;
using testing_support::StartedHttpClient;

constexpr std::chrono::seconds kPatience(60);

double Millis(steady_clock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

FakePod PodOf(size_t number) {
  FakePod pod;
  pod.name = absl::StrCat("pod-", number);
  pod.ip = absl::StrCat("10.", number >> 16 & 255, ".", number >> 8 & 255, ".", number & 255);
  pod.uid = absl::StrCat("u", number);
  return pod;
}

// The engines of a cluster in a fleet, from the API server's list and watch to the snapshot.
class PodFleet : private RoutingFixture {
 public:
  explicit PodFleet(size_t pods) : RoutingFixture({.tie_break_seed = 1}, {}, &Clock::Real()) {
    for (size_t i = 0; i < pods; ++i) api_.Put(PodOf(i));
    next_ = pods;
    options_.server.url = api_.Url();
    options_.kube_namespace = "ns";
    options_.selector = "app=vllm";
    options_.engines.model = std::string("m");
  }

  // How long until all pods there are are in the snapshot; decisions go on meanwhile.
  steady_clock::duration Find(std::vector<double>* decisions_ns) {
    const auto begin = steady_clock::now();
    kubernetes_ = std::make_unique<KubernetesDiscovery>(
        client_.get(), options_, [this](std::vector<OwnedWorker> workers) {
          feed_.Set(WorkerSource::kKubernetes, std::move(workers));
        });
    while (fleet_.Snapshot()->targets.size() < next_) Decide(milliseconds(5), decisions_ns);
    return steady_clock::now() - begin;
  }

  // One engine gives way to another. How long until the snapshot says so.
  steady_clock::duration Change(std::vector<double>* decisions_ns) {
    const std::string gone = PodOf(oldest_++).name;
    const FakePod pod = PodOf(next_++);
    const auto begin = steady_clock::now();
    api_.Delete("pods", gone);
    api_.Put(pod);
    const auto seen = [&] {
      const auto snapshot = fleet_.Snapshot();
      return snapshot->FindTarget("ns/" + pod.name, 0).has_value() &&
             !snapshot->FindTarget("ns/" + gone, 0).has_value();
    };
    while (!seen()) {
      KVROUTE_CHECK(steady_clock::now() - begin < kPatience);
      Decide(milliseconds(1), decisions_ns);
    }
    return steady_clock::now() - begin;
  }

  // Decisions one after the other, each with a pause behind it.
  void Decide(steady_clock::duration time, std::vector<double>* decisions_ns) {
    constexpr std::chrono::microseconds kPause(200);
    const std::vector<TokenId> tokens = Tokens(1'024);
    const auto end = steady_clock::now() + time;
    do {
      Query query;
      query.model = "m";
      query.prompt.token_ids = tokens;
      const auto begin = steady_clock::now();
      const absl::Status status = router_.Route(query, &decision_);
      if (status.ok()) {
        decisions_ns->push_back(static_cast<double>((steady_clock::now() - begin).count()));
        KVROUTE_CHECK(router_.Complete({decision_.request_id, Progress::kEnded, {}}).ok());
      }
      std::this_thread::sleep_for(kPause);  // a query's own pace, not a wait for anything
    } while (steady_clock::now() < end);
  }

 private:
  FakeKubeApi api_;
  const std::unique_ptr<HttpClient> client_ = StartedHttpClient();
  KubernetesOptions options_;
  WorkerFeed feed_{&fleet_};
  std::unique_ptr<KubernetesDiscovery> kubernetes_;
  Decision decision_;
  size_t oldest_ = 0;
  size_t next_ = 0;
};

// Ten changes a second, each a deletion and an addition, in turns with as long without any.
void PodChanges(benchmark::State& state) {
  const auto pods = static_cast<size_t>(state.range(0));
  constexpr milliseconds kBetween(100);
  PodFleet fleet(pods);
  std::vector<double> scratch;
  (void)fleet.Find(&scratch);
  fleet.Decide(milliseconds(200), &scratch);
  std::vector<double> calm_p99, changing_p99, visible_ms;
  for (auto _ : state) {
    const auto begin = steady_clock::now();
    std::vector<double> calm, changing;
    fleet.Decide(milliseconds(600), &calm);
    for (int i = 0; i < 6; ++i) {
      const auto due = steady_clock::now() + kBetween;
      visible_ms.push_back(Millis(fleet.Change(&changing)));
      if (const auto left = due - steady_clock::now(); left.count() > 0) {
        fleet.Decide(left, &changing);
      }
    }
    calm_p99.push_back(QuantileOf(calm, 0.99));
    changing_p99.push_back(QuantileOf(changing, 0.99));
    state.SetIterationTime(std::chrono::duration<double>(steady_clock::now() - begin).count());
  }
  state.counters["p99_ns"] = QuantileOf(changing_p99, 0.5);
  state.counters["p99_ratio"] = QuantileOf(changing_p99, 0.5) / QuantileOf(calm_p99, 0.5);
  state.counters["visible_ms"] = QuantileOf(visible_ms, 0.5);
  state.counters["longest_visible_ms"] = QuantileOf(visible_ms, 1);
}
BENCHMARK(PodChanges)
    ->ArgName("engines")
    ->Arg(1'000)
    ->Iterations(3)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

// A list of so many pods, page by page, into an empty fleet; then one change among them.
void PodList(benchmark::State& state) {
  const auto pods = static_cast<size_t>(state.range(0));
  std::vector<double> listed_ms, visible_ms, decisions;
  for (auto _ : state) {
    PodFleet fleet(pods);
    const auto begin = steady_clock::now();
    listed_ms.push_back(Millis(fleet.Find(&decisions)));
    for (int i = 0; i < 3; ++i) visible_ms.push_back(Millis(fleet.Change(&decisions)));
    state.SetIterationTime(std::chrono::duration<double>(steady_clock::now() - begin).count());
  }
  state.counters["listed_ms"] = QuantileOf(listed_ms, 0.5);
  state.counters["visible_ms"] = QuantileOf(visible_ms, 0.5);
  state.counters["p99_ns"] = QuantileOf(decisions, 0.99);
}
BENCHMARK(PodList)
    ->Name("PodList/full")
    ->ArgName("pods")
    ->Arg(10'000)
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

// Every engine is asked each second for a page like vLLM's, over a connection that stays.
class ScrapedFleet : private RoutingFixture {
 public:
  ScrapedFleet(size_t engines, int port)
      : RoutingFixture({.tie_break_seed = 1}, {}, &Clock::Real()) {
    std::vector<WorkerSpec> specs;
    for (size_t i = 0; i < engines; ++i) {
      specs.push_back(Spec(absl::StrCat("w", i), 1, 16));
      specs.back().address = absl::StrCat("http://127.1.", i / 250, ".", 1 + i % 250, ":", port);
    }
    AddConfiguredWorkers(specs);
    scraper_ = std::make_unique<Scraper>(client_.get(), &fleet_, ScrapeOptions{});
  }
  uint64_t loads() const {
    return scraper_->counts().scrapes[static_cast<size_t>(ScrapeResult::kLoad)];
  }
  uint64_t failures() const {
    return scraper_->counts().scrapes[static_cast<size_t>(ScrapeResult::kNoAnswer)];
  }

 private:
  const std::unique_ptr<HttpClient> client_ = StartedHttpClient();
  std::unique_ptr<Scraper> scraper_;
};

void ScrapeEngines(benchmark::State& state) {
  const auto engines = static_cast<size_t>(state.range(0));
  FakeEngines server;
  ScrapedFleet fleet(engines, server.port());
  while (fleet.loads() < 2 * engines) std::this_thread::sleep_for(milliseconds(20));
  double processor_s = 0, wall_s = 0;
  const uint64_t before = fleet.loads();
  for (auto _ : state) {
    const auto begin = steady_clock::now();
    const double busy = ProcessorSeconds() - server.ThreadSeconds();
    std::this_thread::sleep_for(milliseconds(1'000));
    processor_s += ProcessorSeconds() - server.ThreadSeconds() - busy;
    const double took = std::chrono::duration<double>(steady_clock::now() - begin).count();
    wall_s += took;
    state.SetIterationTime(took);
  }
  const auto scrapes = static_cast<double>(fleet.loads() - before);
  state.counters["scrapes_per_s"] = scrapes / wall_s;
  state.counters["core_share"] = processor_s / wall_s;
  state.counters["scrape_cpu_ns"] = processor_s * 1e9 / scrapes;
  state.counters["failed"] = static_cast<double>(fleet.failures());
  state.counters["page_bytes"] = static_cast<double>(FakeEngines::MetricsPage().size());
}
BENCHMARK(ScrapeEngines)
    ->ArgName("engines")
    ->Arg(1'000)
    ->Iterations(1)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kvroute
