// Every kind of bad peer at once, at random, beside a normal fleet and a normal client who must not
// notice, on a server with few descriptors, little memory and name servers that do not answer.
// scripts/storm runs it for an hour; KVROUTE_STORM_SECONDS says how long.
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "test/chaos/chaos_fixture.h"
#include "test/storm/attack.h"
#include "test/storm/normal_client.h"
#include "test/storm/process_watch.h"
#include "test/support/reserved_port.h"

namespace kvroute {
namespace {

using testing_support::ServerProcess;

constexpr int kAttackers = 3;
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kHeldAnswers = 20;  // the normal client's while an attack holds on
constexpr uint64_t kIdleAnswers = 500;
constexpr char kDescriptors[] = "1500";  // of the server
constexpr uint64_t kMemoryLimit = 1'024 * kMiB;
// Of what the attacks made it take, the server may keep so much: caches of allocators, and tables
// that have grown.
constexpr uint64_t kKeptMemory = 192 * kMiB;

double Setting(const char* name, double otherwise) {
  const char* given = std::getenv(name);
  return given != nullptr ? std::strtod(given, nullptr) : otherwise;
}

void RaiseDescriptorLimit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Threads that strike, one attack after the other, until told to stop.
class Attackers {
 public:
  Attackers(const AttackedServer& server, uint64_t seed) {
    for (int i = 0; i < kAttackers; ++i) {
      threads_.emplace_back(absl::StrCat("attacker ", i), [this, server, seed, i] {
        std::mt19937_64 random(seed + static_cast<uint64_t>(i));
        Attacks attacks;
        AddConnectionAttacks(server, &attacks);
        const std::string worker_id = absl::StrCat("hostile-", i);
        AddCallAttacks(server, worker_id, &attacks);
        AddEngineAttacks(server, worker_id, &attacks);
        AddPublisherAttacks(server, worker_id, &attacks);
        if (i == 0) AddConfigAttacks(server, &attacks);  // there is one file
        const char* const only = std::getenv("KVROUTE_STORM_ONLY");
        if (only != nullptr) {
          std::erase_if(attacks, [only](const auto& a) { return a->name() != only; });
        }
        while (!stop_ && !attacks.empty()) {
          Attack& attack = *attacks[random() % attacks.size()];
          attack.Strike(&random);
          const std::lock_guard<std::mutex> lock(mutex_);
          ++strikes_[std::string(attack.name())];
        }
      });
    }
  }
  void Stop() {
    stop_ = true;
    threads_.clear();
  }
  std::string Report() const {
    std::string text;
    for (const auto& [name, count] : strikes_)
      absl::StrAppend(&text, "  ", name, ": ", count, "\n");
    return text;
  }

 private:
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::map<std::string, int> strikes_;
  std::vector<NamedThread> threads_;
};

class Storm : public ChaosTest {
 protected:
  // What engines do on an ordinary bad day.
  void Live(const std::vector<std::string>& ids) {
    for (const std::string& id : ids) {
      ChaosEngine& one = engine(id);
      if (random()() % 400 == 0 && !restarting_.contains(id)) {
        restarting_[id] = State(id).restarts();
        one.Restart();
      }
      if (random()() % 100 == 0) one.sockets().faults().drop_live += 1 + random()() % 3;
      one.Steps(static_cast<int>(random()() % 4));
      one.sockets().Serve(std::chrono::milliseconds(1));
    }
  }

  // Of them, those whose last restart the server has seen: until then its answers are about the
  // life before, whose numbers may by chance be those of the new one.
  std::vector<std::string> Comparable(const std::vector<std::string>& ids) {
    std::vector<std::string> comparable;
    for (const std::string& id : ids) {
      const auto restarting = restarting_.find(id);
      if (restarting != restarting_.end()) {
        if (State(id).restarts() == restarting->second) continue;
        restarting_.erase(restarting);
      }
      comparable.push_back(id);
    }
    return comparable;
  }

  // The server whose machine is short of everything, and beside it another, to which nothing of
  // that happens: what it needs for an answer is what the load of this machine makes of it.
  void StartServers(const std::vector<std::string>& ids) {
    RaiseDescriptorLimit();
    config_path_ = testing::TempDir() + absl::StrCat("kvroute_storm_", getpid(), ".yaml");
    config_ = absl::StrCat(
        "memory: {limit: ", kMemoryLimit, "}\nlisteners:\n- {endpoint: \"", listener_.endpoint(),
        "\", replay_port: 9, allow_host_names: true, expire_after: 2s}\n",
        "workers:\n- {worker_id: storm-config, address: \"http://storm\", model: ",
        "storm-config, event_endpoint: \"tcp://slow-config:5557\"}\n");
    std::ofstream(config_path_) << config_;
    const char* const build = std::getenv("KVROUTE_BINARY_DIR");
    const std::string shim = absl::StrCat(build != nullptr ? build : "build/release",
                                          "/test/storm/libkvroute_storm_circumstances.so");
    ASSERT_TRUE(std::filesystem::exists(shim)) << shim;
    setenv("LD_PRELOAD", shim.c_str(), 1);
    setenv("KVROUTE_STORM_DESCRIPTORS", kDescriptors, 1);
    // Requests that never end are load, and memory, until then.
    StartWith(ids, 40, {"--config", config_path_, "--set", "routing.lease_timeout=20s"});
    unsetenv("LD_PRELOAD");
    ASSERT_FALSE(HasFatalFailure());
    auto control = ServerProcess::Start();
    ASSERT_TRUE(control.ok()) << control.status();
    control_ = *std::move(control);
    const ApiClient api(control_->grpc_address());
    for (const std::string& id : ids) {
      v1::Worker worker;
      worker.set_worker_id(id);
      worker.set_address("http://" + id);
      worker.set_model("chaos");
      worker.set_event_endpoint(engine(id).sockets().event_endpoint());
      worker.set_replay_endpoint(engine(id).sockets().replay_endpoint());
      ASSERT_TRUE(api.Register(worker).ok());
    }
  }
  AttackedServer Attacked(std::function<void()> hold) {
    return {.grpc_address = server().grpc_address(),
            .grpc_port = server().grpc_port(),
            .http_port = server().http_port(),
            .listener = listener_.endpoint(),
            .config_path = config_path_,
            .config = config_,
            .hold = std::move(hold)};
  }
  ServerProcess& control() { return *control_; }
  ~Storm() override { std::filesystem::remove(config_path_); }

 private:
  std::map<std::string, uint64_t> restarting_;  // restarts seen before that one
  const ReservedPort listener_;
  std::string config_path_, config_;
  std::unique_ptr<ServerProcess> control_;
};

double Milliseconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

TEST_F(Storm, NobodyElseNotices) {
  const auto length = std::chrono::duration<double>(Setting("KVROUTE_STORM_SECONDS", 30));
  const std::vector<std::string> ids = {"a", "b", "c"};
  AddEngine("a", {.random_clears = true});
  AddEngine("c", {.format = {.style = WireStyle::kSglangMap}, .random_clears = true});
  ASSERT_NO_FATAL_FAILURE(StartServers(ids));

  NormalClient client(server().grpc_address(), "chaos");
  NormalClient beside(control().grpc_address(), "chaos");
  client.AwaitAnswers(kIdleAnswers);
  const NormalClient::Record idle = client.Take();
  ASSERT_TRUE(idle.failures.empty()) << idle.failures.front();
  (void)beside.Take();
  const uint64_t descriptors = OpenDescriptors(server().pid());
  const uint64_t memory = MemoryBytes(server().pid(), "VmRSS");

  int compared = 0;
  uint64_t most_descriptors = 0;
  Attackers attackers(Attacked([&client] { client.AwaitAnswers(kHeldAnswers); }), random()());
  const auto end = std::chrono::steady_clock::now() + length;
  while (std::chrono::steady_clock::now() < end && server().running() && !HasFailure()) {
    Live(ids);
    compared += CompareSettledAnswers(Comparable(ids), 5);
    most_descriptors = std::max(most_descriptors, OpenDescriptors(server().pid()));
  }
  attackers.Stop();
  const NormalClient::Record record = client.Take(), control_record = beside.Take();
  const uint64_t most_memory = MemoryBytes(server().pid(), "VmHWM");
  const auto p99 = Percentile(record.latencies, 0.99);
  const auto control_p99 = Percentile(control_record.latencies, 0.99);
  std::printf(
      "strikes:\n%sanswers compared %d; normal client: %zu answers, p99 %.2f ms (of a server "
      "beside "
      "it that nobody attacks: %zu, %.2f ms; before: %.2f ms); server: at most %llu MiB (%llu "
      "before), %llu descriptors (%llu)\n",
      attackers.Report().c_str(), compared, record.latencies.size(), Milliseconds(p99),
      control_record.latencies.size(), Milliseconds(control_p99),
      Milliseconds(Percentile(idle.latencies, 0.99)),
      static_cast<unsigned long long>(most_memory / kMiB),
      static_cast<unsigned long long>(memory / kMiB),
      static_cast<unsigned long long>(most_descriptors),
      static_cast<unsigned long long>(descriptors));

  EXPECT_TRUE(record.failures.empty())
      << record.failures.size()
      << " of the normal client's calls failed, the first: " << record.failures.front();
  ASSERT_TRUE(server().running()) << "ended with " << server().Wait() << "\n" << server().Log();
  EXPECT_GT(compared, 0);
  EXPECT_LE(most_memory, kMemoryLimit);
  const double ratio = Setting("KVROUTE_STORM_MAX_P99_RATIO", 3);  // 0: not judged
  if (ratio > 0) {
    EXPECT_LE(Milliseconds(p99), ratio * Milliseconds(control_p99));
  }

  // What the attacks took is given back, and the fleet is as right as before.
  for (const std::string& id : ids) {
    engine(id).SetServing(true);
    engine(id).sockets().faults() = {};
    engine(id).Clear();
    engine(id).Steps(30);
    ASSERT_TRUE(WaitUntilExact(id));
  }
  ExpectAnswersEqualModel(ids, 100);
  EXPECT_TRUE(WaitFor("descriptors as before",
                      [&] { return OpenDescriptors(server().pid()) <= descriptors + 16; }))
      << OpenDescriptors(server().pid()) << " descriptors, before " << descriptors;
  EXPECT_TRUE(WaitFor("memory as before",
                      [&] { return MemoryBytes(server().pid(), "VmRSS") <= memory + kKeptMemory; }))
      << MemoryBytes(server().pid(), "VmRSS") / kMiB << " MiB, before " << memory / kMiB;
  std::printf("afterwards: %llu MiB, %llu descriptors\n",
              static_cast<unsigned long long>(MemoryBytes(server().pid(), "VmRSS") / kMiB),
              static_cast<unsigned long long>(OpenDescriptors(server().pid())));
  EXPECT_EQ(server().Terminate(), 0);
}

}  // namespace
}  // namespace kvroute
