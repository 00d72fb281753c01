// Against a fake API server: every row of what a client of Kubernetes must bear.

#include "router/fleet/discovery/kubernetes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "indexer/base/mutex.h"
#include "test/support/fake_kube_api.h"
#include "test/support/http_asking.h"

namespace kvroute::testing_support {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Fault = FakeKubeApi::Fault;
using Ids = std::vector<std::string>;

class KubernetesTest : public testing::Test {
 protected:
  KubernetesTest() {
    options_.server.url = api_.Url();
    options_.kube_namespace = "ns";
    options_.selector = "app=vllm";
    options_.engines.model = "m";
    options_.retry_min = milliseconds(1);
    options_.retry_max = milliseconds(5);
    options_.request_rules = false;  // they would be among the lists and watches that are counted
  }

  void Start() {
    found_ = std::make_unique<KubernetesDiscovery>(
        client_.get(), options_, [this](std::vector<OwnedWorker> workers) {
          Ids ids;
          for (const OwnedWorker& worker : workers) {
            ids.push_back(worker.spec.worker_id.substr(3) + (worker.not_ready ? "!" : ""));
          }
          MutexLock lock(&mutex_);
          ids_ = std::move(ids);
          workers_ = std::move(workers);
          ++published_;
          changed_.NotifyAll();
        });
  }
  // Until these are the workers: "name", or "name!" of one that is not ready.
  void Await(const Ids& ids) {
    MutexLock lock(&mutex_);
    while (published_ == 0 || ids_ != ids) changed_.Wait(&mutex_);
  }
  Ids Now() {
    MutexLock lock(&mutex_);
    return ids_;
  }
  std::vector<OwnedWorker> Workers() {
    MutexLock lock(&mutex_);
    return workers_;
  }
  uint64_t Troubles(KubeTrouble trouble) const {
    return found_->counts().pods.troubles[static_cast<size_t>(trouble)];
  }
  // Until the watch of pods has met with so many.
  void AwaitTroubles(KubeTrouble trouble, uint64_t count) {
    while (Troubles(trouble) < count) client_->RunAndWait([] {});
  }
  void UsePool() {
    options_.pool = "pool";
    options_.selector.clear();
  }

  FakeKubeApi api_;
  KubernetesOptions options_;
  const std::unique_ptr<HttpClient> client_ = StartedHttpClient();
  Mutex mutex_;
  CondVar changed_;
  Ids ids_ ABSL_GUARDED_BY(mutex_);
  std::vector<OwnedWorker> workers_ ABSL_GUARDED_BY(mutex_);
  int published_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<KubernetesDiscovery> found_;
};

TEST_F(KubernetesTest, PodsAreListedAndThenWatched) {
  api_.Put({.name = "a"});
  Start();
  Await({"a"});
  api_.AwaitWatches(1);
  EXPECT_THAT(api_.last_query(), HasSubstr("labelSelector=app%3Dvllm"));
  EXPECT_THAT(api_.last_query(), HasSubstr("watch=1&resourceVersion=101&allowWatchBookmarks=true"));
  api_.Put({.name = "b", .ip = "127.0.0.2"});
  Await({"a", "b"});
  api_.Delete("pods", "a");
  Await({"b"});
  EXPECT_EQ(api_.lists(), 1);
}

TEST_F(KubernetesTest, ThePodsLife) {
  options_.not_ready_grace = milliseconds(300'000);
  FakePod pod{.name = "a", .ip = "", .ready = false};
  api_.Put(pod);
  Start();
  Await({});
  pod.ip = "10.0.0.1";
  pod.ready = true;
  api_.Put(pod);
  Await({"a"});
  pod.ready = false;
  api_.Put(pod);
  Await({"a!"});
  pod.ready = true;
  api_.Put(pod);
  Await({"a"});
  pod.terminating = true;
  api_.Put(pod);
  Await({});
  api_.Delete("pods", "a");
  api_.Put({.name = "a", .ip = "10.0.0.2", .uid = "u2"});
  Await({"a"});
  EXPECT_EQ(Workers()[0].spec.instance, "u2");
}

TEST_F(KubernetesTest, TheGraceOfOneThatIsNotReadyEnds) {
  options_.not_ready_grace = milliseconds(30);
  api_.Put({.name = "a"});
  Start();
  Await({"a"});
  api_.Put({.name = "a", .ready = false});
  Await({});
}

TEST_F(KubernetesTest, LongListsComeInPages) {
  for (int i = 0; i < 10'000; ++i) api_.Put({.name = "p" + std::to_string(10'000 + i)});
  Start();
  while (Now().size() < 10'000) client_->RunAndWait([] {});
  EXPECT_EQ(api_.lists(), 1);
  EXPECT_EQ(api_.pages(), 40);
}

TEST_F(KubernetesTest, ADeadServerRemovesNothing) {
  api_.Put({.name = "a"});
  Start();
  Await({"a"});
  api_.AwaitWatches(1);
  api_.Set(Fault::kDown);
  AwaitTroubles(KubeTrouble::kConnection, 5);
  EXPECT_THAT(Now(), ElementsAre("a"));
  api_.Put({.name = "b"});
  api_.Set(Fault::kNone);
  Await({"a", "b"});
}

TEST_F(KubernetesTest, AServerThatIsNotThereAtTheStartIsWaitedFor) {
  api_.Set(Fault::kDown);
  api_.Put({.name = "a"});
  Start();
  AwaitTroubles(KubeTrouble::kConnection, 3);
  EXPECT_THAT(Now(), IsEmpty());
  api_.Set(Fault::kNone);
  Await({"a"});
}

TEST_F(KubernetesTest, ALineThatIsCutByAResetIsAskedForAgain) {
  api_.Put({.name = "a"});
  Start();
  Await({"a"});
  api_.AwaitWatches(1);
  api_.Set(Fault::kHalfLine);
  api_.Put({.name = "b"});
  Await({"a", "b"});
  EXPECT_EQ(api_.lists(), 1) << "the watch goes on where it was";
}

TEST_F(KubernetesTest, AfterALineThatIsNoneAllIsListedAgain) {
  api_.Put({.name = "a"});
  Start();
  Await({"a"});
  int lists = 1;
  for (const Fault fault : {Fault::kGarbageLine, Fault::kHugeLine}) {
    api_.AwaitWatches(lists);
    api_.Set(fault);
    api_.Put({.name = "b" + std::to_string(lists)});  // what is sent instead is not this
    while (Now().size() < static_cast<size_t>(lists) + 1) client_->RunAndWait([] {});
    EXPECT_EQ(api_.lists(), ++lists);
  }
  EXPECT_EQ(Troubles(KubeTrouble::kNotUnderstood), 2u);
}

TEST_F(KubernetesTest, WhenTheHistoryIsGoneAllIsListedAgain) {
  api_.Put({.name = "a"});
  api_.Put({.name = "b"});
  Start();
  Await({"a", "b"});
  api_.AwaitWatches(1);
  api_.Delete("pods", "a");
  Await({"b"});
  api_.Compact();  // an ERROR line of code 410
  api_.AwaitWatches(2);
  api_.Put({.name = "c"});
  Await({"b", "c"});
  EXPECT_EQ(api_.lists(), 2);
  EXPECT_EQ(Troubles(KubeTrouble::kExpired), 1u);
}

// What was deleted while nobody watched is seen by what is not in the list.
TEST_F(KubernetesTest, AListAfterASilenceFindsWhatIsGone) {
  api_.Put({.name = "a"});
  api_.Put({.name = "b"});
  Start();
  Await({"a", "b"});
  api_.AwaitWatches(1);
  api_.Set(Fault::kDown);
  AwaitTroubles(KubeTrouble::kConnection, 1);
  api_.Delete("pods", "a");
  api_.Compact();
  api_.Set(Fault::kNone);
  Await({"b"});
  EXPECT_EQ(api_.lists(), 2);
}

TEST_F(KubernetesTest, BookmarksMoveTheWatchOn) {
  api_.Put({.name = "a"});
  Start();
  Await({"a"});
  api_.AwaitWatches(1);
  api_.Bookmark();
  while (found_->counts().pods.events == 0) client_->RunAndWait([] {});
  api_.Cut();
  api_.AwaitWatches(2);
  EXPECT_THAT(api_.last_query(), HasSubstr("resourceVersion=102"));
}

TEST_F(KubernetesTest, TheTokenIsReadAgainWhenItIsRefused) {
  options_.server.token_file = testing::TempDir() + "/kube-token-" + std::to_string(getpid());
  std::ofstream(options_.server.token_file) << "first";
  api_.RequireToken("first");
  api_.Put({.name = "a"});
  Start();
  Await({"a"});
  api_.AwaitWatches(1);
  api_.RequireToken("second");
  AwaitTroubles(KubeTrouble::kRefused, 2);
  EXPECT_THAT(Now(), ElementsAre("a"));
  api_.Put({.name = "b"});
  std::ofstream(options_.server.token_file) << "second";
  Await({"a", "b"});
}

TEST_F(KubernetesTest, APageOfAProxyIsNoList) {
  api_.Put({.name = "a"});
  Start();
  Await({"a"});
  api_.AwaitWatches(1);
  api_.Set(Fault::kHtml);
  while (found_->counts().pods.troubles[static_cast<size_t>(KubeTrouble::kNotUnderstood)] < 2) {
    client_->RunAndWait([] {});
  }
  EXPECT_THAT(Now(), ElementsAre("a"));
  api_.Put({.name = "b"});
  api_.Set(Fault::kNone);
  Await({"a", "b"});
}

TEST_F(KubernetesTest, OverTlsItTrustsTheClustersCaAlone) {
  const TestCertificates certificates, others;
  FakeKubeApi api(
      {.certificate_file = certificates.certificate_file, .key_file = certificates.key_file});
  api.Put({.name = "a"});
  options_.server.url = api.Url();
  options_.server.tls.ca_file = others.ca_file;
  Start();
  AwaitTroubles(KubeTrouble::kConnection, 2);
  EXPECT_EQ(api.lists(), 0);
  found_.reset();
  options_.server.tls.ca_file = certificates.ca_file;
  Start();
  Await({"a"});
}

TEST_F(KubernetesTest, ThePoolSaysWhichPodsAndPorts) {
  UsePool();
  api_.Put({.name = "a"});
  Start();
  Await({});  // there is no pool of that name
  EXPECT_FALSE(found_->counts().has_pool);
  api_.Put("inferencepools", "pool", PoolJson("pool", R"("app":"vllm")", R"({"number":8000})"));
  Await({"a"});
  EXPECT_EQ(Workers()[0].spec.data_parallel_size, 1u);
  api_.Put("inferencepools", "pool",
           PoolJson("pool", R"("app":"vllm")", R"({"number":8000},{"number":8001})"));
  while (Workers()[0].spec.data_parallel_size != 2) client_->RunAndWait([] {});
  api_.Put("inferencepools", "pool", PoolJson("pool", R"("app":"other")", R"({"number":8000})"));
  while (api_.last_query().find("app%3Dother") == std::string::npos) client_->RunAndWait([] {});
  api_.Put("inferencepools", "pool", PoolJson("pool", R"("app":"x")", R"({"number":0})"));
  Await({});
  EXPECT_FALSE(found_->counts().has_pool);
  api_.Put("inferencepools", "pool", PoolJson("pool", R"("app":"vllm")", R"({"number":8000})"));
  Await({"a"});
  api_.Delete("inferencepools", "pool");
  Await({});
}

TEST_F(KubernetesTest, AClusterThatKnowsOnlyTheOlderPoolsIsAskedForThose) {
  UsePool();
  api_.HideKind("inference.networking.k8s.io/v1/");
  api_.Put({.name = "a"});
  api_.Put(
      "inferencepools", "pool",
      R"({"metadata":{"name":"pool"},"spec":{"selector":{"app":"vllm"},"targetPortNumber":80}})");
  Start();
  Await({"a"});
  EXPECT_EQ(Workers()[0].spec.address, "127.0.0.1:80");
}

TEST_F(KubernetesTest, ItsEndWaitsForNothing) {
  api_.Set(Fault::kSilent);
  api_.Put({.name = "a"});
  Start();
  Await({"a"});
  api_.AwaitWatches(1);
  found_.reset();
  EXPECT_EQ(client_->Stats().open, 0u);
}

TEST_F(KubernetesTest, WhatIsSaidOfRequestsIsReadWhereItIsWanted) {
  Start();
  EXPECT_EQ(found_->request_rules(), nullptr);
  found_.reset();
  options_.request_rules = true;
  UsePool();
  api_.Put("inferenceobjectives", "batch",
           R"({"metadata":{"name":"batch","resourceVersion":"@"},)"
           R"("spec":{"poolRef":{"name":"pool"},"priority":-1}})");
  Start();
  while (found_->request_rules()->Read() == nullptr ||
         found_->request_rules()->Read()->PriorityOf("batch") != -1) {
    client_->RunAndWait([] {});
  }
}

}  // namespace
}  // namespace kvroute::testing_support
