// Against a fake API server: what a cluster says of requests.

#include "router/fleet/discovery/kube_rules.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "indexer/base/limits.h"
#include "test/support/fake_kube_api.h"
#include "test/support/http_asking.h"

namespace kvroute::testing_support {
namespace {

using std::chrono::milliseconds;
using Fault = FakeKubeApi::Fault;

constexpr char kObjectives[] = "inferenceobjectives";
constexpr char kRewrites[] = "inferencemodelrewrites";

class KubeRulesTest : public testing::Test {
 protected:
  ~KubeRulesTest() override { Stop(); }

  void Start(const std::string& pool = "pool") {
    KubeWatchOptions watch;
    watch.server.url = api_.Url();
    watch.retry_min = milliseconds(1);
    watch.retry_max = milliseconds(5);
    client_->RunAndWait([&] {
      rules_ = std::make_unique<KubeRules>(client_.get(), watch, "ns", pool, &published_);
      rules_->Start();
    });
  }
  void Stop() {
    client_->RunAndWait([this] { rules_.reset(); });
  }

  // `spec`: beside the poolRef, as JSON members.
  void Put(const std::string& kind, const std::string& name, const std::string& spec,
           const std::string& created = "2026-01-01T00:00:00Z", const std::string& pool = "pool") {
    api_.Put(kind, name,
             fmt::format(R"({{"metadata":{{"name":"{}","resourceVersion":"@",)"
                         R"("creationTimestamp":"{}"}},"spec":{{"poolRef":{{"name":"{}"}}{}{}}}}})",
                         name, created, pool, spec.empty() ? "" : ",", spec));
  }
  void PutRewrite(const std::string& name, const std::string& model, const std::string& to,
                  const std::string& created) {
    Put(kRewrites, name,
        fmt::format(R"("rules":[{{"matches":[{{"model":{{"type":"Exact","value":"{}"}}}}],)"
                    R"("targets":[{{"modelRewrite":"{}"}}]}}])",
                    model, to),
        created);
  }

  std::shared_ptr<const RequestRules> Now() const {
    auto rules = published_.Read();
    return rules == nullptr ? std::make_shared<RequestRules>() : rules;
  }
  template <typename Is>
  void Await(const Is& is) {
    while (!is(*Now())) client_->RunAndWait([] {});
  }
  void AwaitPriority(const std::string& name, std::optional<int32_t> priority) {
    Await([&](const RequestRules& rules) { return rules.PriorityOf(name) == priority; });
  }
  void AwaitRewrite(const std::string& model, const std::string& to) {
    Await([&](const RequestRules& rules) { return rules.RewriteOf(model, 0) == to; });
  }
  uint64_t Troubles(KubeRuleKind kind, KubeTrouble trouble) const {
    uint64_t all = 0;
    for (const KubeWatchCounts& watch : rules_->counts(kind).watches) {
      all += watch.troubles[static_cast<size_t>(trouble)];
    }
    return all;
  }
  void AwaitTroubles(KubeTrouble trouble, uint64_t count) {
    while (Troubles(KubeRuleKind::kObjectives, trouble) < count) client_->RunAndWait([] {});
  }
  uint64_t LeftOut(KubeRuleKind kind) const { return rules_->counts(kind).left_out; }

  FakeKubeApi api_;
  const std::unique_ptr<HttpClient> client_ = StartedHttpClient();
  PublishedRequestRules published_;
  std::unique_ptr<KubeRules> rules_;
};

TEST_F(KubeRulesTest, ObjectivesAreListedWatchedAndGo) {
  Put(kObjectives, "batch", R"("priority":-1)");
  Put(kObjectives, "unset", "");
  Start();
  AwaitPriority("batch", -1);
  AwaitPriority("unset", 0);
  api_.AwaitWatches(4);  // two kinds, in two groups
  Put(kObjectives, "chat", R"("priority":100)");
  AwaitPriority("chat", 100);
  Put(kObjectives, "batch", R"("priority":3)");
  AwaitPriority("batch", 3);
  api_.Delete(kObjectives, "batch");
  AwaitPriority("batch", std::nullopt);
  EXPECT_EQ(LeftOut(KubeRuleKind::kObjectives), 0u);
}

TEST_F(KubeRulesTest, OnlyThoseOfThePoolCount) {
  Put(kObjectives, "other", R"("priority":-1)", "", "another");
  Put(kObjectives, "own", R"("priority":-1)");
  Start();
  AwaitPriority("own", -1);
  EXPECT_EQ(Now()->PriorityOf("other"), std::nullopt);
  Stop();
  Start("");  // a label selector has no pool
  AwaitPriority("other", -1);
}

TEST_F(KubeRulesTest, OfTwoRewritesForOneModelTheOlderCounts) {
  PutRewrite("a-younger", "m", "young", "2026-02-01T00:00:00Z");
  PutRewrite("b-older", "m", "old", "2026-01-01T00:00:00Z");
  Put(kRewrites, "c-all", R"("rules":[{"targets":[{"modelRewrite":"all","weight":5}]}])",
      "2025-01-01T00:00:00Z");
  Start();
  AwaitRewrite("m", "old");
  EXPECT_EQ(Now()->RewriteOf("x", 0), "all");
  api_.Delete(kRewrites, "b-older");
  AwaitRewrite("m", "young");
  api_.Delete(kRewrites, "a-younger");
  AwaitRewrite("m", "all");
}

TEST_F(KubeRulesTest, ARuleMayHaveSeveralNamesAndTargets) {
  Put(kRewrites, "canary",
      R"("rules":[{"matches":[{"model":{"value":"a"}},{"model":{"value":"b"}}],)"
      R"("targets":[{"modelRewrite":"v1","weight":3},{"modelRewrite":"v2","weight":1}]}])");
  Start();
  AwaitRewrite("a", "v1");
  for (const char* model : {"a", "b"}) {
    EXPECT_EQ(Now()->RewriteOf(model, 2), "v1");
    EXPECT_EQ(Now()->RewriteOf(model, 3), "v2");
  }
}

TEST_F(KubeRulesTest, ADeadServerRemovesNothing) {
  Put(kObjectives, "batch", R"("priority":-1)");
  PutRewrite("r", "m", "n", "");
  Start();
  AwaitPriority("batch", -1);
  AwaitRewrite("m", "n");
  api_.AwaitWatches(4);
  api_.Set(Fault::kDown);
  AwaitTroubles(KubeTrouble::kConnection, 10);
  EXPECT_EQ(Now()->PriorityOf("batch"), -1);
  EXPECT_EQ(Now()->RewriteOf("m", 0), "n");
  api_.Set(Fault::kHtml);
  AwaitTroubles(KubeTrouble::kNotUnderstood, 4);
  EXPECT_EQ(Now()->PriorityOf("batch"), -1);
  Put(kObjectives, "batch", R"("priority":-2)");
  api_.Set(Fault::kNone);
  AwaitPriority("batch", -2);
}

TEST_F(KubeRulesTest, WhatWentWhileNobodyWatchedIsMissed) {
  Put(kObjectives, "gone", R"("priority":-1)");
  Put(kObjectives, "stays", R"("priority":-1)");
  Start();
  AwaitPriority("gone", -1);
  api_.AwaitWatches(4);
  api_.Set(Fault::kDown);
  AwaitTroubles(KubeTrouble::kConnection, 2);
  api_.Delete(kObjectives, "gone");
  api_.Compact();
  api_.Set(Fault::kNone);
  AwaitPriority("gone", std::nullopt);
  EXPECT_EQ(Now()->PriorityOf("stays"), -1);
}

TEST_F(KubeRulesTest, AClusterNeedNotKnowSuchKinds) {
  api_.HideKind("/apis/");
  Start();
  AwaitTroubles(KubeTrouble::kUnknownKind, 4);
  for (const KubeWatchCounts& watch : rules_->counts(KubeRuleKind::kObjectives).watches) {
    const KubeWatchState state = watch.state;
    EXPECT_TRUE(state == KubeWatchState::kAbsent || state == KubeWatchState::kListing);
  }
  Put(kObjectives, "batch", R"("priority":-1)");
  api_.HideKind("");
  AwaitPriority("batch", -1);
}

TEST_F(KubeRulesTest, EitherGroupWillDo) {
  api_.HideKind("llm-d.ai");
  Put(kObjectives, "batch", R"("priority":-1)");
  Start();
  AwaitPriority("batch", -1);
}

TEST_F(KubeRulesTest, WhatIsWrongIsLeftOutAndCounted) {
  api_.Put(kObjectives, "no-pool", R"({"metadata":{"name":"no-pool"},"spec":{"priority":-1}})");
  Put(kObjectives, "huge", R"("priority":4294967296)");
  Put(kObjectives, "text", R"("priority":"low")");
  Put(kObjectives, "good", R"("priority":-1)");
  const std::string good =
      R"({"matches":[{"model":{"value":"m"}}],"targets":[{"modelRewrite":"n"}]})";
  for (const std::string& rule :
       {std::string(R"({"targets":[{"modelRewrite":""}]})"),
        std::string(R"({"targets":[{"modelRewrite":"a\nb"}]})"),
        std::string(R"({"targets":[{"modelRewrite":"x","weight":-1}]})"),
        std::string(R"({"matches":[{"model":{"type":"Regex","value":".*"}}]})"),
        std::string(R"({"matches":[{}]})"), std::string(R"({"targets":[7]})")}) {
    Put(kRewrites, "r" + std::to_string(std::hash<std::string>()(rule)),
        fmt::format(R"("rules":[{},{}])", rule, good));
  }
  Start();
  AwaitPriority("good", -1);
  AwaitRewrite("m", "n");  // the rule beside the wrong one
  EXPECT_EQ(Now()->PriorityOf("no-pool"), std::nullopt);
  EXPECT_EQ(Now()->PriorityOf("huge"), 0);
  EXPECT_EQ(Now()->PriorityOf("text"), 0);
  EXPECT_EQ(Now()->RewriteOf("other", 0), "");
  while (LeftOut(KubeRuleKind::kObjectives) < 6) client_->RunAndWait([] {});  // in both groups
  while (LeftOut(KubeRuleKind::kRewrites) < 12) client_->RunAndWait([] {});
}

TEST_F(KubeRulesTest, TooManyAreLeftOut) {
  for (size_t i = 0; i < limits::kMaxRequestRules + 3; ++i) {
    Put(kObjectives, fmt::format("o{:05}", i), R"("priority":-1)");
  }
  std::string targets;
  for (size_t i = 0; i < limits::kMaxRewriteTargets / 2; ++i) {
    targets += fmt::format(R"({}{{"modelRewrite":"t{}"}})", i == 0 ? "" : ",", i);
  }
  for (const char* name : {"a", "b", "c"}) {
    Put(kRewrites, name,
        fmt::format(R"("rules":[{{"matches":[{{"model":{{"value":"{}"}}}}],"targets":[{}]}}])",
                    name, targets));
  }
  Start();
  AwaitPriority("o00000", -1);
  AwaitPriority(fmt::format("o{:05}", limits::kMaxRequestRules - 1), -1);
  EXPECT_EQ(Now()->PriorityOf(fmt::format("o{:05}", limits::kMaxRequestRules)), std::nullopt);
  AwaitRewrite("a", "t0");
  EXPECT_EQ(Now()->RewriteOf("b", 0), "") << "half of the limit and itself, twice, is above it";
  while (LeftOut(KubeRuleKind::kObjectives) < 6) client_->RunAndWait([] {});
  while (LeftOut(KubeRuleKind::kRewrites) < 2) client_->RunAndWait([] {});
}

}  // namespace
}  // namespace kvroute::testing_support
