// An engine that connects to kvroute is replaced by another under another name, again and again.
#include <atomic>
#include <fstream>
#include <list>
#include <thread>

#include "absl/strings/str_cat.h"
#include "test/chaos/chaos_fixture.h"
#include "test/support/reserved_port.h"

namespace kvroute {
namespace {

class PodReplaced : public ChaosTest {
 protected:
  ChaosEngine& AddPod(const std::string& name, int port) {
    ChaosEngineOptions options;
    options.sockets.event_endpoint = absl::StrCat("tcp://127.0.0.1:", port);
    options.sockets.replay_endpoint = "";
    options.sockets.connect = true;
    options.sockets.topic = absl::StrCat("kv@", name, "@chaos");
    return AddEngine(name, options);
  }
  // Starts the server with a listener that has these settings besides, at the port that it returns.
  int StartListening(const std::string& settings) {
    const int port = ports_.emplace_back().number();
    const std::string file = testing::TempDir() + absl::StrCat("pods-", port, ".yaml");
    std::ofstream(file) << "listeners:\n- {endpoint: 'tcp://127.0.0.1:" << port << "'" << settings
                        << "}\n";
    StartServer({"--config", file});
    return port;
  }
  std::vector<std::string> Workers() {
    std::vector<std::string> ids;
    const auto list = api().List();
    if (!list.ok()) return ids;
    for (const v1::WorkerStatus& worker : list->workers())
      ids.push_back(worker.worker().worker_id());
    return ids;
  }

  std::list<ReservedPort> ports_;
};

TEST_F(PodReplaced, ItsWorkerGoesAndTheOthersStayExact) {
  const int port = StartListening(", expire_after: 300ms, max_discovered_streams: 2");
  const auto heard_until_exact = [&](const std::string& name) {
    return WaitFor(name + " exact", [&] {
      engine(name).Clear();
      return State(name).trust() == v1::TRUST_EXACT;
    });
  };
  AddPod("idle", port);  // and silent once it is known
  ASSERT_TRUE(heard_until_exact("idle"));
  ASSERT_TRUE(WaitUntilExact("idle"));
  engine("idle").Steps(30);
  ASSERT_TRUE(WaitUntilExact("idle"));
  const uint64_t gaps = State("idle").gaps();
  for (int life = 0; life < 4; ++life) {
    const std::string pod = absl::StrCat("pod-", life);
    AddPod(pod, port);
    ASSERT_TRUE(heard_until_exact(pod));
    engine(pod).Steps(30);
    ASSERT_TRUE(WaitUntilExact(pod));
    ExpectAnswersEqualModel({"idle", pod});
    engine(pod).sockets().Close();
    ASSERT_TRUE(
        WaitFor(pod + " gone", [&] { return Workers() == std::vector<std::string>{"idle"}; }));
    ExpectAnswersEqualModel({"idle"});
  }
  EXPECT_EQ(State("idle").gaps(), gaps);
}

// Its streams are ended, and discovered again by the next message, until the last lane is.
TEST_F(PodReplaced, TheServerEndsCleanlyWhileTheyPublish) {
  for (int round = 0; round < 5; ++round) {
    const int port = StartListening("");
    std::atomic<bool> done{false};
    std::thread pods([&] {
      ZmqContext sockets;
      std::vector<std::unique_ptr<ZmqPublisher>> publishers;
      for (int i = 0; i < 50; ++i) {
        publishers.push_back(*ZmqPublisher::Create(
            &sockets, {.event_endpoint = absl::StrCat("tcp://127.0.0.1:", port),
                       .replay_endpoint = "",
                       .connect = true,
                       .topic = absl::StrCat("kv@", i, "@chaos")}));
      }
      while (!done) {
        for (const auto& publisher : publishers) publisher->Publish("x");
      }
    });
    EXPECT_TRUE(WaitFor("all heard", [&] { return Workers().size() == 50; }));
    EXPECT_EQ(server().Terminate(), 0) << server().Log();
    done = true;
    pods.join();
  }
}

}  // namespace
}  // namespace kvroute
