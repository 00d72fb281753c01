#ifndef KVROUTE_TEST_CHAOS_CHAOS_FIXTURE_H_
#define KVROUTE_TEST_CHAOS_CHAOS_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "test/chaos/chaos_engine.h"
#include "test/support/server_process.h"
#include "test/support/tcp_proxy.h"
#include "tools/client/api_client.h"

namespace kvroute {

// A real `kvroute serve`, engines whose true state is known, and the comparison of the two. The
// engines live in this process and this thread: they answer replay requests while WaitFor waits.
class ChaosTest : public testing::Test {
 protected:
  ChaosTest();
  ~ChaosTest() override;

  // With short timeouts, so that failures are seen within a test's patience.
  void StartServer(std::vector<std::string> flags = {});
  testing_support::ServerProcess& server() { return *server_; }
  ApiClient& api() { return *api_; }

  // Names of files under test/chaos say what fails; `id` names the worker in their assertions.
  ChaosEngine& AddEngine(const std::string& id, ChaosEngineOptions options = {});
  ChaosEngine& engine(const std::string& id) { return *engines_.at(id); }
  // At its own sockets, or through proxies; an empty replay endpoint registers none.
  void Register(const std::string& id);
  void Register(const std::string& id, const std::string& event_endpoint,
                const std::string& replay_endpoint);

  // Until `condition` holds; engines that serve are served meanwhile. False, and a failure that
  // says what each stream is like and shows the server's log, when it does not within the patience.
  bool WaitFor(const std::string& what, const std::function<bool()>& condition);
  v1::StreamState State(const std::string& id);

  // The stream is exact, and everything the engine has published is in the answers.
  bool WaitUntilExact(const std::string& id);
  bool WaitUntilDegraded(const std::string& id, const std::string& reason);
  // A test that damages a stream must know that it was whole before.
  void StartWith(const std::vector<std::string>& ids, int steps = 60,
                 const std::vector<std::string>& flags = {});

  // Score answers for `prompts` random prompts what the model says, for each of these workers.
  void ExpectAnswersEqualModel(const std::vector<std::string>& ids, int prompts = 50);

  // The same for the answers that are exact and whose stream has nothing under way; how many were.
  int CompareSettledAnswers(const std::vector<std::string>& ids, int prompts);

  std::mt19937_64& random() { return random_; }
  ZmqContext& context() { return context_; }
  ReferenceIndex& model() { return model_; }

 private:
  struct Asked {
    size_t prompt_tokens = 0;
    std::map<uint32_t, uint64_t> expected;     // blocks, by the model's stream
    std::map<std::string, v1::Match> answers;  // by worker
  };

  std::vector<TokenId> RandomPrompt();
  // A random prompt, asked of the server and of the model.
  absl::StatusOr<Asked> Ask();
  std::string Describe();

  const uint64_t seed_;
  std::mt19937_64 random_;
  ReferenceIndex model_;
  ZmqContext context_;
  std::unique_ptr<testing_support::ServerProcess> server_;
  std::unique_ptr<ApiClient> api_;
  std::map<std::string, std::unique_ptr<ChaosEngine>> engines_;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_CHAOS_CHAOS_FIXTURE_H_
