// Two engines use one identity.
#include "absl/strings/str_cat.h"
#include "test/chaos/chaos_fixture.h"
#include "test/support/reserved_port.h"

namespace kvroute {
namespace {

class IdentityConflict : public ChaosTest {
 protected:
  static constexpr char kTopic[] = "kv@127.0.0.1@chaos";

  // An engine that connects to the server's listener under the one topic.
  ChaosEngine& AddConnecting(const std::string& id, int port) {
    ChaosEngineOptions options;
    options.sockets.event_endpoint = absl::StrCat("tcp://127.0.0.1:", port);
    options.sockets.replay_endpoint = "";
    options.sockets.connect = true;
    options.sockets.topic = kTopic;
    return AddEngine(id, options);
  }
  v1::StreamState Discovered() {
    const auto list = api().List();
    if (!list.ok()) return {};
    for (const v1::WorkerStatus& worker : list->workers()) {
      if (worker.source() == "discovered" && worker.streams_size() > 0) return worker.streams(0);
    }
    return {};
  }
};

TEST_F(IdentityConflict, UnderOneTopicIsSaidAndEndsWithOneOfThem) {
  const ReservedPort reserved;  // the server's listeners take no port 0
  const int port = reserved.number();
  const std::string file = testing::TempDir() + absl::StrCat("listener-", port, ".yaml");
  FILE* config = std::fopen(file.c_str(), "w");
  ASSERT_NE(config, nullptr);
  std::fprintf(config, "listeners:\n- endpoint: tcp://127.0.0.1:%d\n", port);
  std::fclose(config);
  StartServer({"--config", file});
  ChaosEngine& first = AddConnecting("first", port);
  ASSERT_TRUE(WaitFor("first heard", [&] {
    first.Step();
    return Discovered().batches() > 0;
  }));
  ChaosEngine& second = AddConnecting("second", port);
  ASSERT_TRUE(WaitFor("conflict said", [&] {
    first.Step();
    second.Step();
    return Discovered().trust_reason() == "identity_conflict";
  }));
  EXPECT_NE(Discovered().trust(), v1::TRUST_EXACT);

  second.sockets().Close();
  ASSERT_TRUE(WaitFor("conflict over", [&] {
    first.Step();
    return Discovered().trust_reason() != "identity_conflict";
  }));
  ASSERT_TRUE(WaitFor("exact again", [&] {
    first.Clear();
    return Discovered().trust() == v1::TRUST_EXACT;
  }));
}

TEST_F(IdentityConflict, TwoWorkersAtOneEndpointAreRefused) {
  StartWith({"a"});
  v1::Worker other;
  other.set_worker_id("b");
  other.set_address("http://b");
  other.set_model("chaos");
  other.set_event_endpoint(engine("a").sockets().event_endpoint());
  const absl::Status status = api().Register(other);
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists) << status;
  ExpectAnswersEqualModel({"a"});
}

}  // namespace
}  // namespace kvroute
