// The real process on a host whose name servers are silent, or that has few descriptors or no
// thread to give.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "test/support/child_process.h"
#include "test/support/http_client.h"
#include "test/support/sanitized.h"
#include "test/support/server_process.h"
#include "tools/client/api_client.h"

namespace kvroute {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;
using testing_support::HttpGet;
using testing_support::ServerProcess;

// Asks again until it is so; every question is a round trip to the process.
bool Eventually(const std::function<bool()>& is_so) {
  const auto deadline = std::chrono::steady_clock::now() + seconds(120);
  while (std::chrono::steady_clock::now() < deadline) {
    if (is_so()) return true;
  }
  return false;
}

nlohmann::json StatusOf(const ServerProcess& server) {
  return nlohmann::json::parse(HttpGet(server.http_port(), "/status").body, nullptr, false);
}

size_t DescriptorsOf(const ServerProcess& server) {
  const std::filesystem::directory_iterator all(absl::StrCat("/proc/", server.pid(), "/fd"));
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

// A worker of its own endpoint, where nobody listens.
std::string Worker(int number, const std::string& host) {
  return absl::StrCat("- {worker_id: w", number, ", address: 'http://w", number,
                      "', model: m, event_endpoint: 'tcp://", host, ":", 1'000 + number % 60'000,
                      "', replay_endpoint: ''}\n");
}

class PoorHostTest : public testing::Test {
 protected:
  PoorHostTest() { std::filesystem::create_directories(dir_); }
  ~PoorHostTest() override { std::filesystem::remove_all(dir_); }

  std::string Write(const std::string& text) const {
    const std::string name = dir_ / "k.yaml";
    std::ofstream(name + ".new") << text;
    std::filesystem::rename(name + ".new", name);
    return name;
  }

  const std::filesystem::path dir_ =
      std::filesystem::path(testing::TempDir()) / ("poor_host" + std::to_string(getpid()));
};

TEST_F(PoorHostTest, SilentNameServersDoNotKeepItFromEnding) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer must be the first library";
  std::string workers = "workers:\n";
  for (int i = 0; i < 40; ++i)
    absl::StrAppend(&workers, Worker(i, absl::StrCat("w", i, ".silent")));
  setenv("LD_PRELOAD", KVROUTE_POOR_HOST, 1);
  auto server =
      ServerProcess::Start({"--config", Write(workers), "--set", "ingest.dial_timeout=100ms"});
  unsetenv("LD_PRELOAD");
  ASSERT_TRUE(server.ok()) << server.status();
  // As many names are asked for as there may be at a time, and it is said of whom.
  EXPECT_TRUE(Eventually([&] {
    const nlohmann::json status = StatusOf(**server);
    int silent = 0;
    for (const auto& worker : status["workers"]) {
      silent += worker["streams"][0]["connect_trouble"] == "name_server" ? 1 : 0;
    }
    return silent >= 16;
  })) << StatusOf(**server).dump(1);
  EXPECT_EQ(HttpGet((*server)->http_port(), "/healthz").status, 200);
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ((*server)->Terminate(), 0) << (*server)->Log();
  EXPECT_LT(std::chrono::steady_clock::now() - before, seconds(30));
}

// Lowered for the process that is started, and raised again where that is allowed.
class FewDescriptors {
 public:
  explicit FewDescriptors(rlim_t most) {
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit few{std::min(before_.rlim_cur, most), std::min(before_.rlim_max, most)};
    setrlimit(RLIMIT_NOFILE, &few);
  }
  ~FewDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

TEST_F(PoorHostTest, AReloadThatNamesMoreWorkersThanThereAreDescriptorsForChangesNothing) {
  constexpr int kFew = 20;
  const auto workers = [](int count) {
    std::string text = "workers:\n";
    for (int i = 0; i < count; ++i)
      absl::StrAppend(&text, Worker(i, absl::StrCat("127.0.1.", 1 + i / 60'000)));
    return text;
  };
  const std::string config = Write(workers(kFew));
  absl::StatusOr<std::unique_ptr<ServerProcess>> server;
  {
    const FewDescriptors few(20'000);
    server = ServerProcess::Start({"--config", config});
  }
  ASSERT_TRUE(server.ok()) << server.status();
  ASSERT_EQ(StatusOf(**server)["workers"].size(), static_cast<size_t>(kFew));
  const size_t descriptors = DescriptorsOf(**server);

  Write(workers(16'384));
  EXPECT_TRUE(Eventually([&] { return StatusOf(**server)["config"]["reloads_failed"] == 1; }));
  const nlohmann::json status = StatusOf(**server);
  EXPECT_THAT(status["config"]["last_reload_error"].get<std::string>(),
              HasSubstr("max_open_files"));
  EXPECT_THAT(status["config"]["last_reload_error"].get<std::string>(), HasSubstr("20000"));
  EXPECT_EQ(status["workers"].size(), static_cast<size_t>(kFew));
  EXPECT_EQ(HttpGet((*server)->http_port(), "/healthz").status, 200);
  EXPECT_TRUE(Eventually([&] { return DescriptorsOf(**server) <= descriptors + 16; }))
      << DescriptorsOf(**server) << " descriptors, before " << descriptors;

  Write(workers(2 * kFew));
  EXPECT_TRUE(Eventually([&] { return StatusOf(**server)["workers"].size() == 2 * kFew; }));
  EXPECT_EQ((*server)->Terminate(), 0);
}

// A container may limit its processes, and a machine runs out of memory for stacks.
TEST_F(PoorHostTest, WithoutFurtherThreadsItServesWithThoseItHas) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer must be the first library";
  const std::string none = dir_ / "no_threads";
  setenv("LD_PRELOAD", KVROUTE_POOR_HOST, 1);
  setenv("KVROUTE_TEST_NO_THREADS", none.c_str(), 1);
  auto server = ServerProcess::Start({"--config", Write("workers:\n" + Worker(1, "127.0.0.1"))});
  unsetenv("LD_PRELOAD");
  unsetenv("KVROUTE_TEST_NO_THREADS");
  ASSERT_TRUE(server.ok()) << server.status();
  std::ofstream(none) << "none";
  const ApiClient api((*server)->grpc_address());
  const auto list = api.List();  // answered by a thread that is made when it is needed first
  EXPECT_EQ(list.status().code(), absl::StatusCode::kResourceExhausted) << list.status();
  EXPECT_THAT(std::string(list.status().message()), HasSubstr("no thread"));
  // A name that must be looked up, which is a thread's work as well.
  Write("workers:\n" + Worker(1, "127.0.0.1") + Worker(2, "somewhere.invalid"));
  EXPECT_TRUE(Eventually([&] { return StatusOf(**server)["workers"].size() == 2; }));
  v1::RouteRequest ask;
  ask.set_model("m");
  for (uint32_t i = 0; i < 16; ++i) ask.mutable_prompt()->add_token_ids(i);
  EXPECT_TRUE(api.Route(ask).ok());
  EXPECT_EQ(HttpGet((*server)->http_port(), "/healthz").status, 200);

  std::filesystem::remove(none);
  const auto again = api.List();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->workers_size(), 2);
  std::ofstream(none) << "none";
  EXPECT_EQ((*server)->Terminate(), 0) << (*server)->Log();
}

TEST_F(PoorHostTest, WithoutAnyThreadItSaysSoAndDoesNotStart) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer must be the first library";
  const std::string none = dir_ / "no_threads_at_all";
  std::ofstream(none) << "none";
  setenv("LD_PRELOAD", KVROUTE_POOR_HOST, 1);
  setenv("KVROUTE_TEST_NO_THREADS", none.c_str(), 1);
  ChildProcess process({"serve", "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"});
  unsetenv("LD_PRELOAD");
  unsetenv("KVROUTE_TEST_NO_THREADS");
  EXPECT_EQ(process.Wait(), 1);
  EXPECT_THAT(process.ReadStderr(), HasSubstr("kvroute: threads: the system gives 0 of the"));
}

// As in a sandbox that refuses the call.
TEST_F(PoorHostTest, WithoutRandomNumbersOfTheSystemLeasesStillHaveNames) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer must be the first library";
  setenv("LD_PRELOAD", KVROUTE_POOR_HOST, 1);
  setenv("KVROUTE_TEST_NO_RANDOM", "1", 1);
  auto server = ServerProcess::Start({"--config", Write("workers:\n" + Worker(1, "127.0.0.1"))});
  unsetenv("LD_PRELOAD");
  unsetenv("KVROUTE_TEST_NO_RANDOM");
  ASSERT_TRUE(server.ok()) << server.status();
  const ApiClient api((*server)->grpc_address());
  v1::RouteRequest ask;
  ask.set_model("m");
  ask.mutable_prompt()->add_token_ids(1);
  const auto first = api.Route(ask), second = api.Route(ask);
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  EXPECT_FALSE(first->request_id().empty());
  EXPECT_NE(first->request_id(), second->request_id());
  EXPECT_EQ((*server)->Terminate(), 0) << (*server)->Log();
}

}  // namespace
}  // namespace kvroute
