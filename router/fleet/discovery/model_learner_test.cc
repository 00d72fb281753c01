#include "router/fleet/discovery/model_learner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "indexer/base/mutex.h"
#include "test/support/fake_http_server.h"
#include "test/support/http_asking.h"

namespace kvroute::testing_support {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr char kTwo[] =
    R"({"object":"list","data":[{"id":"a-lora","parent":"base"},{"id":"base","parent":null}]})";

TEST(ModelListTest, TheModelIsTheOneWithoutAParent) {
  const absl::StatusOr<ModelList> list = ReadModelList(kTwo);
  ASSERT_TRUE(list.ok());
  EXPECT_EQ(list->model, "base");
  EXPECT_THAT(list->adapters, ElementsAre("a-lora"));
}

TEST(ModelListTest, NamesOfOneModelHaveOneRoot) {
  const absl::StatusOr<ModelList> list = ReadModelList(
      R"({"data":[{"id":"m","root":"/models/m"},{"id":"m-alias","root":"/models/m"},)"
      R"({"id":"x-lora","root":"/loras/x","parent":"m"},{"id":"another","root":"/models/a"},)"
      R"({"id":"rootless"},{"id":"m","root":"/models/m"},{"id":"a-alias","root":"/models/m"}]})");
  ASSERT_TRUE(list.ok());
  EXPECT_EQ(list->model, "m");
  EXPECT_THAT(list->served_names, ElementsAre("a-alias", "m-alias"));
  EXPECT_THAT(list->adapters, ElementsAre("x-lora"));
}

TEST(ModelListTest, WhatIsNoneIsRefused) {
  for (const char* text : {"", "[]", "{}", R"({"data":[]})", R"({"data":{}})", R"({"data":[{}]})",
                           R"({"data":[{"id":7}]})", R"({"data":[{"id":""}]})",
                           R"({"data":[{"id":"x\n"}]})", "<html>"}) {
    EXPECT_FALSE(ReadModelList(text).ok()) << text;
  }
}

class ModelLearnerTest : public testing::Test {
 protected:
  ~ModelLearnerTest() override { learner_.reset(); }

  void Start() {
    learner_ =
        std::make_unique<ModelLearner>(client_.get(),
                                       ModelLearnerOptions{.timeout = milliseconds(60'000),
                                                           .retry = milliseconds(1),
                                                           .refresh = milliseconds(5),
                                                           .max_asked_at_once = max_asked_at_once_},
                                       [this](std::vector<OwnedWorker> workers) {
                                         MutexLock lock(&mutex_);
                                         workers_ = std::move(workers);
                                         ++published_;
                                         changed_.NotifyAll();
                                       });
  }
  void Set(const std::vector<OwnedWorker>& workers) {
    client_->RunAndWait([&] { learner_->Set(workers); });
  }
  OwnedWorker Engine(const std::string& id, const std::string& model = "") const {
    OwnedWorker worker;
    worker.spec.worker_id = id;
    worker.spec.address = "127.0.0.1:" + std::to_string(server_.port());
    worker.spec.model = model;
    return worker;
  }
  void Says(const std::string& list) {
    MutexLock lock(&mutex_);
    list_ = list;
  }
  void SaysSources(const std::string& sources) {
    MutexLock lock(&mutex_);
    sources_ = sources;
  }
  template <typename Condition>
  std::vector<OwnedWorker> Until(Condition condition) {
    MutexLock lock(&mutex_);
    while (!condition(workers_)) changed_.Wait(&mutex_);
    return workers_;
  }

  size_t max_asked_at_once_ = ModelLearnerOptions().max_asked_at_once;
  std::atomic<uint64_t> most_open_{0};  // of the client's transfers, as the server sees them
  Mutex mutex_;
  CondVar changed_;
  std::string list_ ABSL_GUARDED_BY(mutex_);
  std::string sources_ ABSL_GUARDED_BY(mutex_);
  std::vector<OwnedWorker> workers_ ABSL_GUARDED_BY(mutex_);
  int published_ ABSL_GUARDED_BY(mutex_) = 0;
  const std::unique_ptr<HttpClient> client_ = StartedHttpClient();
  FakeHttpServer server_{[this](FakeHttpExchange* exchange) {
    const bool is_list = exchange->target == "/v1/models";
    most_open_ = std::max(most_open_.load(), client_->Stats().open);
    std::string said;
    {
      MutexLock lock(&mutex_);
      said = is_list ? list_ : sources_;
    }
    exchange->Reply(!said.empty() ? 200 : is_list ? 503 : 404, said);
  }};
  std::unique_ptr<ModelLearner> learner_;
};

TEST_F(ModelLearnerTest, AWorkerComesWhenItsModelIsKnownAndFollowsItsAdapters) {
  Start();
  Set({Engine("w")});
  EXPECT_THAT(Until([](const auto&) { return true; }), IsEmpty());
  EXPECT_EQ(learner_->unknown(), 1u);
  Says(kTwo);
  auto workers = Until([](const auto& now) { return now.size() == 1; });
  EXPECT_EQ(workers[0].spec.model, "base");
  EXPECT_THAT(workers[0].spec.adapters, ElementsAre("a-lora"));
  EXPECT_EQ(learner_->unknown(), 0u);
  Says(R"({"data":[{"id":"base"}]})");
  Until([](const auto& now) { return now[0].spec.adapters.empty(); });
  Says("");  // what it said stays
  Set({Engine("w"), Engine("w2", "named")});
  workers = Until([](const auto& now) { return now.size() == 2; });
  EXPECT_EQ(workers[0].spec.model, "base");
}

// Of pods that are no engines there may be any number: they leave places to others.
TEST_F(ModelLearnerTest, FewAreAskedAtATimeAndAllInTheEnd) {
  max_asked_at_once_ = 2;
  Start();
  std::vector<OwnedWorker> found;
  for (int i = 0; i < 40; ++i) found.push_back(Engine("w" + std::to_string(i)));
  Set(found);
  while (!learner_->settled()) std::this_thread::yield();
  Says(kTwo);
  Until([](const auto& now) { return now.size() == 40; });
  EXPECT_GE(most_open_, 1u);
  EXPECT_LE(most_open_, 2u);
  Set({Engine("another")});  // while others wait for their turn
  Until([](const auto& now) { return now.size() == 1 && now[0].spec.worker_id == "another"; });
}

TEST_F(ModelLearnerTest, AModelThatIsNamedIsNotWaitedFor) {
  Start();
  Set({Engine("w", "named")});
  EXPECT_EQ(Until([](const auto& now) { return now.size() == 1; })[0].spec.model, "named");
  Says(kTwo);
  const auto workers = Until([](const auto& now) { return !now[0].spec.adapters.empty(); });
  EXPECT_EQ(workers[0].spec.model, "named");
}

// Readiness waits for it: who is asked before would find no worker.
TEST_F(ModelLearnerTest, ItIsSettledWhenEachEngineHasBeenAskedOnce) {
  Start();
  EXPECT_FALSE(learner_->settled()) << "nothing was found yet";
  client_->RunAndWait([&] {
    learner_->Set({Engine("w")});
    EXPECT_FALSE(learner_->settled());
  });
  // It answers 503: it is not waited for any longer, but is no worker.
  while (!learner_->settled()) std::this_thread::yield();
  EXPECT_EQ(learner_->unknown(), 1u);
}

TEST_F(ModelLearnerTest, WithTheModelsNamedItIsSettledAtOnce) {
  Start();
  Set({Engine("w", "named")});
  EXPECT_TRUE(learner_->settled());
}

TEST_F(ModelLearnerTest, NoEnginesAreSettledToo) {
  Start();
  Set({});
  EXPECT_TRUE(learner_->settled());
}

TEST_F(ModelLearnerTest, OtherNamesOfItsModelComeAndGo) {
  Says(R"({"data":[{"id":"m","root":"r"},{"id":"alias","root":"r"}]})");
  Start();
  Set({Engine("w")});
  const auto workers = Until([](const auto& now) { return now.size() == 1; });
  EXPECT_THAT(workers[0].spec.served_names, ElementsAre("alias"));
  Says(R"({"data":[{"id":"m","root":"r"}]})");
  Until([](const auto& now) { return now[0].spec.served_names.empty(); });
}

TEST_F(ModelLearnerTest, AnEngineSaysWhereItsRanksPublish) {
  Says(R"({"data":[{"id":"m"}]})");
  Start();
  OwnedWorker worker = Engine("w");
  worker.spec.event_endpoint = "tcp://127.0.0.1:5557";
  Set({worker});
  auto workers = Until([](const auto& now) { return now.size() == 1; });
  EXPECT_EQ(workers[0].spec.event_endpoint, "tcp://127.0.0.1:5557");
  SaysSources(R"([{"data_parallel_rank":0,"endpoint":"tcp://*:31001"},)"
              R"({"data_parallel_rank":1,"endpoint":"tcp://*:31002"}])");
  workers = Until([](const auto& now) { return now[0].spec.data_parallel_size == 2; });
  EXPECT_EQ(workers[0].spec.event_endpoint, "tcp://127.0.0.1:31001");
  EXPECT_EQ(workers[0].spec.rank_overrides[0].event_endpoint, "tcp://127.0.0.1:31002");
  EXPECT_EQ(learner_->with_sources(), 1u);
  // What cannot be used changes nothing; an engine that does not know the question any more does.
  SaysSources("<html>");
  while (learner_->refused_sources() == 0) std::this_thread::yield();
  EXPECT_EQ(learner_->with_sources(), 1u);
  SaysSources("");
  workers = Until([](const auto& now) { return now[0].spec.data_parallel_size == 1; });
  EXPECT_EQ(workers[0].spec.event_endpoint, "tcp://127.0.0.1:5557");
}

TEST_F(ModelLearnerTest, AnotherInstanceIsAskedAnew) {
  Says(R"({"data":[{"id":"first"}]})");
  Start();
  OwnedWorker worker = Engine("w");
  worker.spec.instance = "1";
  Set({worker});
  Until([](const auto& now) { return now.size() == 1; });
  Says("");
  worker.spec.instance = "2";
  Set({worker});
  EXPECT_EQ(learner_->unknown(), 1u);
  Says(R"({"data":[{"id":"second"}]})");
  Until([](const auto& now) { return now.size() == 1 && now[0].spec.model == "second"; });
}

}  // namespace
}  // namespace kvroute::testing_support
