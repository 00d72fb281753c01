// Requests that are asked again by their id.
#include <string>

#include "absl/strings/str_cat.h"
#include "indexer/base/error_reason.h"
#include "test/support/query_fixture.h"

namespace kvroute {
namespace {

class RouterRepeatTest : public RouterTest {
 protected:
  static Request Named(const std::string& id, size_t tokens = 16) {
    Request request = Ask(Tokens(tokens));
    request.request_id = id;
    return request;
  }
};

TEST_F(RouterRepeatTest, TheSameRequestGoesWhereItsLeaseIs) {
  for (const char* id : {"a", "b", "c"}) AddWorker(Spec(id));
  const Decision first = Route(Named("r"));
  EXPECT_FALSE(first.is_repeat);
  const std::string chosen(first.chosen.worker_id);
  // Another worker would be chosen now.
  for (const char* id : {"a", "b", "c"}) {
    if (id != chosen) Store(id, Tokens(16));
  }
  for (int i = 0; i < 20; ++i) {
    const Decision again = Route(Named("r"));
    EXPECT_TRUE(again.is_repeat);
    EXPECT_EQ(again.chosen.worker_id, chosen);
    EXPECT_EQ(again.chosen.rank, first.chosen.rank);
    EXPECT_EQ(again.request_id, "r");
    EXPECT_EQ(again.policy, first.policy);
    EXPECT_EQ(again.reason, first.reason);
  }
  EXPECT_EQ(loads_.Stats().leases, 1u);
  EXPECT_EQ(loads_.Stats().begun, 1u);
  EXPECT_EQ(loads_.Stats().repeated, 20u);
  EXPECT_FALSE(Route(Named("r2")).is_repeat);
}

TEST_F(RouterRepeatTest, ItsAnswerIsToldEvenWhenNobodyMayBeChosenAnyMore) {
  AddWorker(Spec("a"));
  Route(Named("r"));
  ASSERT_TRUE(fleet_.SetDraining("a", true).ok());
  EXPECT_EQ(Route(Named("r")).chosen.worker_id, "a") << "it may be on its way already";
  EXPECT_EQ(RouteError(Named("r2")).code(), absl::StatusCode::kUnavailable);
}

TEST_F(RouterRepeatTest, RunnerUpsAreTheOthers) {
  for (const char* id : {"a", "b", "c"}) AddWorker(Spec(id));
  const std::string chosen(Route(Named("r")).chosen.worker_id);
  for (const char* id : {"a", "b", "c"}) {
    if (id != chosen) Store(id, Tokens(16));
  }
  Request request = Named("r");
  request.rest.runner_ups = 5;
  const Decision again = Route(request);
  ASSERT_EQ(again.runner_ups.size(), 2u);
  for (const Match& other : again.runner_ups) EXPECT_NE(other.worker_id, chosen);
}

TEST_F(RouterRepeatTest, AnotherRequestOfTheSameIdIsRefused) {
  AddWorker(Spec("a"));
  Route(Named("r"));
  Request salted = Named("r");
  salted.rest.prompt_namespace.cache_salt = "salt";
  Request other_tokens = Named("r");
  other_tokens.token_ids = Tokens(16, 2);
  for (const Request& other : {Named("r", 17), salted, other_tokens}) {
    const absl::Status status = RouteError(other);
    EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
    EXPECT_EQ(DetailOf(status).reason, ErrorReason::kRequestIdInUse);
  }
  EXPECT_EQ(loads_.Stats().leases, 1u);
}

TEST_F(RouterRepeatTest, AfterItsEndAnIdIsFree) {
  AddWorker(Spec("a"));
  Route(Named("r"));
  EXPECT_TRUE(Complete("r"));
  EXPECT_FALSE(Route(Named("r", 17)).is_repeat);
}

TEST_F(RouterRepeatTest, ALeaseIsTiedToAStreamOnlyOverOne) {
  AddWorker(Spec("a"));
  Request request = Named("r");
  request.rest.tie_to_stream = true;
  ExpectError(RouteError(request), absl::StatusCode::kInvalidArgument,
              "tie_to_stream: the call is no stream");
  request.rest.client.stream = 7;
  EXPECT_EQ(RouteError(request), absl::OkStatus());
  EXPECT_EQ(loads_.Stats().leases, 1u);
  router_.StreamEnded(7);
  EXPECT_EQ(loads_.Stats().leases, 0u);
}

TEST_F(RouterRepeatTest, AnAdaptersNameIsItsModelsAndItsPromptsNamespace) {
  WorkerSpec spec = Spec("a");
  spec.served_names = {"alias"};
  spec.adapters = {"lora"};
  AddWorker(spec);
  Store("a", Tokens(16), 4, 0, 0, Tier::kGpu, MakeNamespaceSeed("lora", ""));
  Request request = Ask(Tokens(16));
  request.model = "alias";
  EXPECT_EQ(Route(request).chosen.blocks, 0u) << "the base model's cache";
  request.model = "lora";
  EXPECT_EQ(Route(request).chosen.blocks, 4u);
  request.model = "m";
  request.rest.prompt_namespace.lora_name = "lora";
  EXPECT_EQ(Route(request).chosen.blocks, 4u) << "the same, told apart";
  request.model = "none";
  EXPECT_EQ(RouteError(request).code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace kvroute
