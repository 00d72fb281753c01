#include "router/fleet/discovery/kube_objects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "test/support/fake_kube_api.h"

namespace kvroute {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing_support::FakePod;

KubeEvent Line(const std::string& json) {
  KubeReader reader;
  absl::StatusOr<KubeEvent> event = reader.ReadLine(json);
  EXPECT_TRUE(event.ok()) << event.status() << json;
  return event.ok() ? *std::move(event) : KubeEvent();
}

TEST(KubeObjectsTest, OfAPodOnlyWhatIsNeededIsRead) {
  FakePod pod{.name = "p", .ip = "10.0.0.1", .uid = "u"};
  pod.labels = R"("app":"x","llm-d.ai/role":"decode","llm-d.ai/engine-type":"sglang")";
  pod.annotations = R"("llm-d.ai/active-ports":"8000, 8002")";
  const KubeEvent event = Line(R"({"type":"ADDED","object":)" + pod.Json() + "}");
  EXPECT_EQ(event.change, KubeChange::kAdded);
  EXPECT_EQ(event.object.name, "p");
  EXPECT_EQ(event.object.uid, "u");
  EXPECT_EQ(event.object.ip, "10.0.0.1");
  EXPECT_TRUE(event.object.ready);
  EXPECT_FALSE(event.object.terminating);
  EXPECT_FALSE(event.object.finished);
  EXPECT_EQ(event.object.role, "decode");
  EXPECT_EQ(event.object.engine, "sglang");
  EXPECT_EQ(event.object.active_ports, "8000, 8002");
}

TEST(KubeObjectsTest, OlderNamesOfLabelsCountWhereTheNewOnesAreNot) {
  FakePod pod{.name = "p"};
  pod.labels = R"("inference.networking.k8s.io/engine-type":"vllm")";
  pod.annotations = R"("inference.networking.k8s.io/active-ports":"1")";
  const KubeEvent event = Line(R"({"type":"MODIFIED","object":)" + pod.Json() + "}");
  EXPECT_EQ(event.object.engine, "vllm");
  EXPECT_EQ(event.object.active_ports, "1");
}

TEST(KubeObjectsTest, PoolsOfBothVersionsAreRead) {
  const KubeEvent v1 =
      Line(R"({"type":"ADDED","object":{"metadata":{"name":"pool"},"spec":{"selector":
        {"matchLabels":{"app":"vllm","tier":"gpu"}},"targetPorts":[{"number":8000},{"number":"x"}]}}})");
  EXPECT_THAT(v1.object.selector, ElementsAre(Pair("app", "vllm"), Pair("tier", "gpu")));
  EXPECT_THAT(v1.object.ports, ElementsAre(8000, 0)) << "one that is none is seen to be";
  const KubeEvent v1alpha2 =
      Line(R"({"type":"ADDED","object":{"metadata":{"name":"pool"},"spec":{"selector":
        {"app":"vllm"},"targetPortNumber":9000}}})");
  EXPECT_THAT(v1alpha2.object.selector, ElementsAre(Pair("app", "vllm")));
  EXPECT_THAT(v1alpha2.object.ports, ElementsAre(9000));
}

TEST(KubeObjectsTest, BookmarksAndErrors) {
  EXPECT_EQ(
      Line(R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"}}})").resource_version,
      "7");
  const KubeEvent error =
      Line(R"({"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}})");
  EXPECT_EQ(error.change, KubeChange::kError);
  EXPECT_EQ(error.code, 410);
  EXPECT_EQ(error.message, "too old");
}

TEST(KubeObjectsTest, WhatIsNoLineOrNoListIsRefused) {
  KubeReader reader;
  for (const char* text :
       {"", "null", "[]", "{", "{}", R"({"type":"ADDED"})", R"({"type":"ADDED","object":[]})",
        R"({"type":"NEW","object":{}})", R"({"type":7,"object":{}})",
        R"({"type":"ADDED","object":{"metadata":{}}})",
        R"({"type":"ADDED","object":{"metadata":{"name":7}}})", "\xff\xfe", "<html></html>"}) {
    EXPECT_FALSE(reader.ReadLine(text).ok()) << text;
    EXPECT_FALSE(reader.ReadPage(text).ok()) << text;
  }
  EXPECT_FALSE(reader.ReadLine(std::string(100'000, '[')).ok());
  EXPECT_TRUE(reader.ReadPage(R"({"metadata":{},"items":null})").ok());
}

// Each member of another kind than it should be is one that is not there.
TEST(KubeObjectsTest, MembersOfTheWrongKindAreNotThere) {
  const KubeEvent event = Line(
      R"({"type":"ADDED","object":{"metadata":{"name":"p","uid":7,"labels":[],"annotations":"x",
        "deletionTimestamp":null},"status":{"podIP":9,"podIPs":{},"conditions":[1,{"type":"Ready"}],
        "phase":[]},"spec":"none"}})");
  EXPECT_EQ(event.object.name, "p");
  EXPECT_EQ(event.object.uid, "");
  EXPECT_EQ(event.object.ip, "");
  EXPECT_FALSE(event.object.ready);
  EXPECT_FALSE(event.object.terminating);
  EXPECT_THAT(event.object.ports, IsEmpty());
}

TEST(KubeObjectsTest, APageHasItsItemsAndWhereItGoesOn) {
  KubeReader reader;
  const absl::StatusOr<KubePage> page =
      reader.ReadPage(R"({"metadata":{"resourceVersion":"5","continue":"abc"},"items":[)" +
                      FakePod{.name = "a"}.Json() + ",7," + FakePod{.name = "b"}.Json() + "]}");
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->resource_version, "5");
  EXPECT_EQ(page->continue_token, "abc");
  ASSERT_EQ(page->items.size(), 2u);
  EXPECT_EQ(page->items[1].name, "b");
}

}  // namespace
}  // namespace kvroute
