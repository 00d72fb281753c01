// The Fleet service over the wire.
#include "router/edge/grpc_v1/fleet_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "indexer/base/api_limits.h"
#include "test/support/server_fixture.h"

namespace kvroute {
namespace {

using grpc::StatusCode;
using testing::ElementsAre;
using testing::IsEmpty;

class FleetServiceTest : public ServerTest {
 protected:
  using Watch = grpc::ClientReader<v1::WatchResponse>;
  static v1::Worker Message(const std::string& id, const std::string& model = "m") {
    v1::Worker worker;
    WorkerToProto(Spec(id), &worker);
    worker.set_model(model);
    return worker;
  }
  grpc::Status Register(const v1::Worker& worker) {
    grpc::ClientContext context;
    v1::RegisterRequest request;
    *request.mutable_worker() = worker;
    v1::RegisterResponse response;
    return fleet_stub_->Register(&context, request, &response);
  }
  grpc::Status List(const v1::ListRequest& request, v1::ListResponse* response) {
    response->Clear();
    grpc::ClientContext context;
    return fleet_stub_->List(&context, request, response);
  }
  static std::vector<std::string> IdsOf(const v1::ListResponse& list) {
    std::vector<std::string> ids;
    for (const v1::WorkerStatus& worker : list.workers())
      ids.push_back(worker.worker().worker_id());
    return ids;
  }
};

TEST_F(FleetServiceTest, EveryFieldOfAWorkerComesBack) {
  v1::Worker worker = Message("a");
  worker.set_first_rank(8);
  worker.set_data_parallel_size(2);
  worker.set_role("both");
  worker.set_incarnation(7);
  (*worker.mutable_labels())["zone"] = "x";
  worker.add_served_names("alias");
  worker.add_adapters("lora");
  ASSERT_TRUE(Register(worker).ok());
  v1::ListResponse list;
  ASSERT_TRUE(List({}, &list).ok());
  ASSERT_THAT(IdsOf(list), ElementsAre("a"));
  EXPECT_EQ(list.workers(0).worker().SerializeAsString(), worker.SerializeAsString());
  EXPECT_EQ(list.workers(0).source(), "api");
  EXPECT_EQ(list.workers(0).streams_size(), 2) << "ranks 8 and 9 for its engines, 0 and 1 here";
  EXPECT_EQ(list.workers(0).streams(1).rank(), 1u);
}

TEST_F(FleetServiceTest, TimesAreToldTwiceAndAlike) {
  AddWorker(Spec("a"));
  const auto stream = source_.stream("a", 0);
  stream->trust_changed_unix_ns = 1'700'000'000'123'456'789;
  v1::ListResponse list;
  ASSERT_TRUE(List({}, &list).ok());
  const v1::StreamState& state = list.workers(0).streams(0);
  EXPECT_EQ(state.trust_changed_unix_ns(), 1'700'000'000'123'456'789);
  EXPECT_EQ(state.trust_changed().seconds(), 1'700'000'000);
  EXPECT_EQ(state.trust_changed().nanos(), 123'456'789);
  EXPECT_FALSE(state.has_last_batch()) << "none yet";
  stream->last_batch_unix_ns = 2'000'000'001;
  ASSERT_TRUE(List({}, &list).ok());
  EXPECT_EQ(list.workers(0).streams(0).last_batch().seconds(), 2);
  EXPECT_EQ(list.workers(0).streams(0).last_batch().nanos(), 1);
}

TEST_F(FleetServiceTest, ListFiltersAndPages) {
  for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(Register(Message(id)).ok());
  v1::Worker other = Message("d", "n");
  (*other.mutable_labels())["zone"] = "x";
  ASSERT_TRUE(Register(other).ok());
  v1::ListRequest request;
  v1::ListResponse list;
  request.mutable_filter()->set_model("m");
  request.set_page_size(2);
  ASSERT_TRUE(List(request, &list).ok());
  EXPECT_THAT(IdsOf(list), ElementsAre("a", "b"));
  request.set_page_token(list.next_page_token());
  ASSERT_TRUE(List(request, &list).ok());
  EXPECT_THAT(IdsOf(list), ElementsAre("c"));
  EXPECT_EQ(list.next_page_token(), "");
  request.Clear();
  (*request.mutable_filter()->mutable_labels())["zone"] = "x";
  ASSERT_TRUE(List(request, &list).ok());
  EXPECT_THAT(IdsOf(list), ElementsAre("d"));
  request.Clear();
  request.mutable_filter()->add_sources("config");
  ASSERT_TRUE(List(request, &list).ok());
  EXPECT_THAT(IdsOf(list), IsEmpty());
}

TEST_F(FleetServiceTest, WhatCannotBeFilteredOrPagedNamesItsField) {
  v1::ListResponse list;
  v1::ListRequest request;
  request.mutable_filter()->add_sources("nobody");
  ExpectError(List(request, &list), StatusCode::INVALID_ARGUMENT, "filter.sources: \"nobody\"");
  request.Clear();
  request.set_page_size(10'001);
  ExpectError(List(request, &list), StatusCode::INVALID_ARGUMENT, "page_size: 10001");
  request.Clear();
  request.set_page_token("!");
  ExpectError(List(request, &list), StatusCode::INVALID_ARGUMENT, "page_token");
  v1::Worker worker = Message("a");
  (*worker.mutable_labels())["a b"] = "x";
  ExpectError(Register(worker), StatusCode::INVALID_ARGUMENT, "labels: the key \"a b\"");
}

TEST_F(FleetServiceTest, ALateDeregisterIsRefused) {
  v1::Worker worker = Message("a");
  worker.set_incarnation(2);
  ASSERT_TRUE(Register(worker).ok());
  grpc::ClientContext late, right;
  v1::DeregisterRequest request;
  v1::DeregisterResponse response;
  request.set_worker_id("a");
  request.set_incarnation(1);
  ExpectError(fleet_stub_->Deregister(&late, request, &response), StatusCode::FAILED_PRECONDITION,
              "incarnation: 1, of an earlier start of worker \"a\"");
  request.set_incarnation(2);
  EXPECT_TRUE(fleet_stub_->Deregister(&right, request, &response).ok());
}

TEST_F(FleetServiceTest, AWatcherHearsOfEveryChangeAndResumes) {
  ASSERT_TRUE(Register(Message("a")).ok());
  std::string token;
  {
    grpc::ClientContext context;
    const std::unique_ptr<Watch> watch = fleet_stub_->Watch(&context, {});
    v1::WatchResponse told;
    ASSERT_TRUE(watch->Read(&told));
    EXPECT_EQ(told.snapshot(), v1::WatchResponse::SNAPSHOT_FIRST);
    ASSERT_EQ(told.changes_size(), 1);
    EXPECT_EQ(told.changes(0).worker().worker().worker_id(), "a");
    EXPECT_EQ(told.changes(0).worker().streams_size(), 0);
    ASSERT_TRUE(fleet_.SetDraining("a", true).ok());
    ASSERT_TRUE(watch->Read(&told));
    EXPECT_EQ(told.snapshot(), v1::WatchResponse::SNAPSHOT_NO);
    EXPECT_TRUE(told.changes(0).worker().draining());
    token = told.resume_token();
    EXPECT_EQ(stats_.open_fleet_watchers, 1u);
    context.TryCancel();
    watch->Finish();
  }
  while (stats_.open_fleet_watchers != 0) std::this_thread::yield();
  ASSERT_TRUE(fleet_.Deregister("a").ok());
  grpc::ClientContext context;
  v1::WatchRequest request;
  request.set_resume_token(token);
  const std::unique_ptr<Watch> watch = fleet_stub_->Watch(&context, request);
  v1::WatchResponse told;
  ASSERT_TRUE(watch->Read(&told));
  EXPECT_EQ(told.snapshot(), v1::WatchResponse::SNAPSHOT_NO);
  ASSERT_EQ(told.changes_size(), 1);
  EXPECT_EQ(told.changes(0).removed(), "a");
  context.TryCancel();
}

TEST_F(FleetServiceTest, AWatchThatCannotBeBegunSaysWhy) {
  v1::WatchRequest request;
  request.set_resume_token("x");
  grpc::ClientContext context;
  v1::WatchResponse told;
  const std::unique_ptr<Watch> watch = fleet_stub_->Watch(&context, request);
  EXPECT_FALSE(watch->Read(&told));
  ExpectError(watch->Finish(), StatusCode::INVALID_ARGUMENT, "resume_token");
  EXPECT_EQ(stats_.open_fleet_watchers, 0u);
}

TEST_F(FleetServiceTest, BeyondTheLimitAWatcherIsRefusedAndARoomIsFreeAgain) {
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<Watch>> watches;
  v1::WatchResponse told;
  for (uint32_t i = 0; i < limits::kMaxFleetWatchers; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    watches.push_back(fleet_stub_->Watch(contexts.back().get(), {}));
    ASSERT_TRUE(watches.back()->Read(&told)) << i;
  }
  {
    grpc::ClientContext context;
    const std::unique_ptr<Watch> one_more = fleet_stub_->Watch(&context, {});
    EXPECT_FALSE(one_more->Read(&told));
    ExpectError(one_more->Finish(), StatusCode::RESOURCE_EXHAUSTED, "max_fleet_watchers: 256");
    EXPECT_EQ(stats_.refused_fleet_watchers, 1u);
  }
  contexts.front()->TryCancel();
  watches.front()->Finish();
  while (stats_.open_fleet_watchers == limits::kMaxFleetWatchers) std::this_thread::yield();
  grpc::ClientContext context;
  const std::unique_ptr<Watch> next = fleet_stub_->Watch(&context, {});
  EXPECT_TRUE(next->Read(&told));
  context.TryCancel();
  for (const auto& open : contexts) open->TryCancel();
}

TEST_F(FleetServiceTest, AServerThatEndsEndsItsWatchers) {
  grpc::ClientContext context;
  const std::unique_ptr<Watch> watch = fleet_stub_->Watch(&context, {});
  v1::WatchResponse told;
  ASSERT_TRUE(watch->Read(&told));
  std::thread ends([&] { server_->Shutdown(std::chrono::seconds(30)); });
  EXPECT_FALSE(watch->Read(&told));
  ExpectError(watch->Finish(), StatusCode::UNAVAILABLE, "the server ends");
  ends.join();
}

}  // namespace
}  // namespace kvroute
