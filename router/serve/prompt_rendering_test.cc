#include "router/serve/prompt_rendering.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace kvroute {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// A fleet of workers by model and address, in order of the model; each has two ranks.
FleetSnapshot FleetOf(const std::vector<std::pair<std::string, std::string>>& workers) {
  FleetSnapshot fleet;
  for (const auto& [model, address] : workers) {
    auto worker = std::make_shared<FleetWorker>();
    worker->source = WorkerSource::kConfig;
    worker->spec.model = model;
    worker->spec.address = address;
    if (fleet.models.empty() || fleet.models.back().model != model) {
      const auto begin = static_cast<uint32_t>(fleet.targets.size());
      fleet.models.push_back({.model = model, .begin = begin, .end = begin, .state = nullptr});
    }
    for (uint32_t rank = 0; rank < 2; ++rank) {
      fleet.targets.push_back({.worker = worker, .rank = rank, .stream = nullptr, .load = nullptr});
      ++fleet.models.back().end;
    }
  }
  return fleet;
}

TEST(RenderersOfTest, WhoSaidWhereAWorkerIsGoesAlong) {
  FleetSnapshot fleet = FleetOf({{"a", "http://10.0.0.1:8000"}});
  auto worker = std::make_shared<FleetWorker>(*fleet.targets[0].worker);
  worker->source = WorkerSource::kApi;
  fleet.targets[0].worker = fleet.targets[1].worker = worker;
  EXPECT_THAT(RenderersOf({}, fleet), ElementsAre(RendererSpec{"a", "http://10.0.0.1:8000", true}));
}

TEST(RenderersOfTest, TheModelsOwnWorkers) {
  EXPECT_THAT(
      RenderersOf({}, FleetOf({{"a", "http://10.0.0.1:8000"},
                               {"a", "10.0.0.2:8000"},
                               {"b", "https://b.example/v1/"},
                               {"b", "grpc://10.0.0.3:1"},
                               {"b", "worker-7"},
                               {"b", "[fd00::7]:8000"}})),
      ElementsAre(RendererSpec{"a", "http://10.0.0.1:8000"},
                  RendererSpec{"a", "http://10.0.0.2:8000"}, RendererSpec{"b", "https://b.example"},
                  RendererSpec{"b", "http://[fd00::7]:8000"}));
}

TEST(RenderersOfTest, WhoIsNamedIsAskedInstead) {
  const FleetSnapshot fleet = FleetOf({{"a", "http://a:1"}, {"b", "http://b:1"}});
  const RendererSpec own{"a", "http://r:1"}, any{"", "http://r:2"};
  EXPECT_THAT(RenderersOf({.ask_engines = true, .renderers = {own}, .http = {}}, fleet),
              ElementsAre(own, RendererSpec{"b", "http://b:1"}));
  EXPECT_THAT(RenderersOf({.ask_engines = true, .renderers = {any}, .http = {}}, fleet),
              ElementsAre(any));
  EXPECT_THAT(RenderersOf({.ask_engines = false, .renderers = {own}, .http = {}}, fleet),
              ElementsAre(own));
  EXPECT_THAT(RenderersOf({.ask_engines = false, .renderers = {}, .http = {}}, fleet), IsEmpty());
}

// Else it would use what is no more.
TEST(PromptRenderingTest, AtItsEndNothingOfItRunsOnTheClientsThread) {
  const auto client = *HttpClient::Start(HttpClientOptions());
  std::atomic<bool> done{false};
  {
    const PromptRendering rendering({}, client.get(), nullptr, &Clock::Real());
    client->Run([&done] {  // as one of its callbacks
      for (int i = 0; i < 100; ++i) std::this_thread::yield();
      done = true;
    });
  }
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace kvroute
