#include "router/fleet/worker_filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "indexer/base/error.h"
#include "router/fleet/fleet.h"
#include "test/support/fleet_fixture.h"

namespace kvroute {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class WorkerFilterTest : public FleetFixture {
 protected:
  void Add(const std::string& id, const std::string& model,
           std::map<std::string, std::string> labels = {}) {
    WorkerSpec spec;
    spec.worker_id = id;
    spec.address = "http://x";
    spec.model = model;
    spec.event_endpoint = absl::StrCat("inproc://", id);
    spec.data_parallel_size = 2;
    spec.labels = std::move(labels);
    spec.served_names = {model + "-alias"};
    ASSERT_TRUE(fleet_.Register(spec).ok());
  }
  std::vector<std::string> IdsOf(const WorkerPage& page) {
    std::vector<std::string> ids;
    for (const uint32_t at : page.workers) {
      ids.push_back(fleet_.Snapshot()->targets[at].worker->spec.worker_id);
    }
    return ids;
  }
  std::vector<std::string> Matching(const WorkerFilter& filter) {
    return IdsOf(*PageOfWorkers(*fleet_.Snapshot(), filter, 0, ""));
  }
};

TEST_F(WorkerFilterTest, EachFieldLeavesOutWhoeverIsNotMeant) {
  Add("a1", "m", {{"zone", "x"}, {"pool", "p"}});
  Add("a2", "m", {{"zone", "y"}});
  Add("b1", "n");
  EXPECT_THAT(Matching({}), ElementsAre("a1", "a2", "b1"));
  EXPECT_THAT(Matching({.model = "m"}), ElementsAre("a1", "a2"));
  EXPECT_THAT(Matching({.model = "n-alias"}), ElementsAre("b1"));
  EXPECT_THAT(Matching({.labels = {{"zone", "x"}}}), ElementsAre("a1"));
  EXPECT_THAT(Matching({.labels = {{"zone", "x"}, {"pool", "q"}}}), IsEmpty());
  EXPECT_THAT(Matching({.sources = {WorkerSource::kConfig}}), IsEmpty());
  EXPECT_THAT(Matching({.sources = {WorkerSource::kConfig, WorkerSource::kApi}}),
              ElementsAre("a1", "a2", "b1"));
  EXPECT_THAT(Matching({.worker_id_prefix = "a"}), ElementsAre("a1", "a2"));
  EXPECT_THAT(Matching({.model = "m", .worker_id_prefix = "b"}), IsEmpty());
}

TEST_F(WorkerFilterTest, AFilterBeyondItsLimitsIsRefusedByName) {
  EXPECT_TRUE(WorkerFilter{}.Validate().ok());
  const auto why = [](const WorkerFilter& filter) {
    return std::string(MessageOf(filter.Validate()));
  };
  EXPECT_THAT(why({.model = std::string(513, 'x')}), HasSubstr("filter.model: 513 bytes"));
  EXPECT_THAT(why({.worker_id_prefix = std::string(257, 'x')}),
              HasSubstr("filter.worker_id_prefix"));
  EXPECT_THAT(why({.labels = {{"a b", ""}}}), HasSubstr("filter.labels: the key \"a b\""));
}

TEST_F(WorkerFilterTest, PagesNameEveryWorkerOnceWhateverComesAndGoes) {
  for (const char* id : {"b", "d", "f", "h"}) Add(id, "m");
  const auto page = [&](const std::string& token) {
    return *PageOfWorkers(*fleet_.Snapshot(), {}, 2, token);
  };
  const WorkerPage first = page("");
  EXPECT_THAT(IdsOf(first), ElementsAre("b", "d"));
  ASSERT_TRUE(fleet_.Deregister("d").ok());  // the one the token names
  Add("a", "m");                             // before it
  Add("g", "m");                             // behind it
  const WorkerPage second = page(first.next_token);
  EXPECT_THAT(IdsOf(second), ElementsAre("f", "g"));
  const WorkerPage third = page(second.next_token);
  EXPECT_THAT(IdsOf(third), ElementsAre("h"));
  EXPECT_EQ(third.next_token, "");
}

TEST_F(WorkerFilterTest, ALastPageThatIsFullSaysThatItIsTheLast) {
  for (const char* id : {"a", "b"}) Add(id, "m");
  EXPECT_EQ(PageOfWorkers(*fleet_.Snapshot(), {}, 2, "")->next_token, "");
}

TEST_F(WorkerFilterTest, ATokenThatIsNoneIsRefused) {
  for (const char* token : {"!", "YQ", "YQ==", "a"}) {
    const auto page = PageOfWorkers(*fleet_.Snapshot(), {}, 2, token);
    ASSERT_FALSE(page.ok()) << token;
    EXPECT_THAT(std::string(MessageOf(page.status())), HasSubstr("page_token: none"));
  }
}

}  // namespace
}  // namespace kvroute
