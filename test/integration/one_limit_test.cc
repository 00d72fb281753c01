// One memory limit: the real process is offered the worst of every input at once, until the parts
// of its budget have been at their own limits; it goes on, and afterwards what it took goes back.
// Long requests that are whole stay within their parts.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "test/integration/worst_inputs.h"
#include "test/support/http_client.h"
#include "test/support/sanitized.h"
#include "test/support/server_process.h"
#include "tools/client/api_client.h"

namespace kvroute {
namespace {

using testing_support::ServerProcess;

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kLimitMiB = 256;
// The idle process (27 MiB of a release build), and pieces of heaps that are in use here and there.
constexpr uint64_t kBeside = 80;

// A line of /proc/PID/status: "VmRSS" now, "VmHWM" at its most.
uint64_t MemoryMiB(pid_t pid, const std::string& name) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  std::string word;
  uint64_t kib = 0;
  while (status >> word) {
    if (word == name + ":" && status >> kib) return kib / 1'024;
  }
  return 0;
}

class OneLimitTest : public testing::Test {
 protected:
  void SetUp() override {
    std::vector<std::string> flags = {"--log-level", "off", "--picker-listen", "127.0.0.1:0"};
    for (const std::string& field :
         {absl::StrCat("memory.limit=", kLimitMiB, "MiB"), std::string("ingest.lanes=2"),
          std::string("ingest.replay_timeout=500ms"), std::string("http_json.listen=127.0.0.1:0"),
          std::string("picker.tls=off"), std::string("picker.health_listen=")}) {
      flags.insert(flags.end(), {"--set", field});
    }
    auto server = ServerProcess::Start(flags);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    client_ = std::make_unique<ApiClient>(server_->grpc_address());
  }

  // The sum of the samples of a metric whose labels include `labels`.
  double Sample(const std::string& name, const std::string& labels = "") const {
    double sum = 0;
    for (const auto line : absl::StrSplit(metrics_, '\n')) {
      if (line.substr(0, name.size()) != name || !absl::StrContains(line, labels)) continue;
      double value = 0;
      if (absl::SimpleAtod(line.substr(line.rfind(' ') + 1), &value)) sum += value;
    }
    return sum;
  }
  bool Scrape() {
    auto reply = testing_support::HttpGet(server_->http_port(), "/metrics");
    if (reply.status != 200) return false;
    metrics_ = std::move(reply.body);
    return true;
  }
  absl::Status AskAsUsual() {
    v1::ScoreRequest request;
    request.set_model("m");
    request.mutable_prompt()->mutable_token_ids()->Resize(1'000, 7);
    const absl::Status status = client_->Score(request).status();
    return absl::IsUnavailable(status) && absl::StrContains(status.message(), "no worker")
               ? absl::OkStatus()  // an answer, where no engine was offered
               : status;
  }
  // Scrapes and asks until it is so, or for too long.
  std::string Until(const std::vector<std::pair<std::string, std::function<bool()>>>& reached) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(4);
    std::string missing;
    do {
      ++scrapes_;
      if (!Scrape()) ++failed_scrapes_;
      ++asked_;
      if (const absl::Status status = AskAsUsual(); !status.ok()) {
        ++refused_;
        std::printf("normal client: %s\n", std::string(status.message()).c_str());
      }
      missing.clear();
      for (const auto& [part, is_reached] : reached) {
        if (!is_reached()) absl::StrAppend(&missing, part, " ");
      }
      if (!server_->running()) return "the process is gone";
    } while (!missing.empty() && std::chrono::steady_clock::now() < deadline);
    return missing;
  }
  // In MiB, beside what its parts say they hold.
  uint64_t ResidentBesideParts() const {
    const double process = Sample("kvroute_memory_used_bytes", "\"process\"");
    const double parts = Sample("kvroute_memory_used_bytes") - process;
    return static_cast<uint64_t>(std::max(process - parts, 0.0)) / kMiB;
  }
  void Print(const std::string& when) {
    Scrape();
    std::printf("%s: %llu MiB resident, at most %llu of %llu; parts:", when.c_str(),
                static_cast<unsigned long long>(MemoryMiB(server_->pid(), "VmRSS")),
                static_cast<unsigned long long>(MemoryMiB(server_->pid(), "VmHWM")),
                static_cast<unsigned long long>(kLimitMiB));
    for (const auto line : absl::StrSplit(metrics_, '\n')) {
      if (absl::StartsWith(line, "kvroute_memory_used")) {
        std::printf(" %s", std::string(line.substr(31)).c_str());
      }
    }
    std::printf("\n");
  }

  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<ApiClient> client_;
  std::string metrics_;
  int scrapes_ = 0, failed_scrapes_ = 0, asked_ = 0, refused_ = 0;
};

TEST_F(OneLimitTest, AfterTheWorstOfEveryInputAtOnceWhatItTookGoesBack) {
  Print("at its start");
  WorstInputs worst(server_.get());
  worst.Engines();
  worst.Leases();
  worst.LongPrompts();
  worst.Swelling();
  worst.Unfinished();
  worst.UnreadAnswers();
  worst.RapidReset();
  worst.UnreadPages();
  worst.JsonBodies();
  worst.PickerBodies();
  const std::string missing = Until({
      {"index", [&] { return Sample("kvroute_blocks_total", "cut_back") > 100'000; }},
      {"pending", [&] { return Sample("kvroute_memory_refused_total", "pending") > 0; }},
      {"held", [&] { return Sample("kvroute_memory_refused_total", "held") > 0; }},
      {"leases", [&] { return Sample("kvroute_leases_ended_total", "evicted") > 1'000; }},
      {"prompts", [&] { return Sample("kvroute_requests_total", "Score") > 20; }},
  });
  EXPECT_EQ(missing, "") << "was not brought to its limit";
  worst.Stop();
  Print("then");
  std::printf("scrapes: %d of %d failed; a normal client: %d of %d refused\n", failed_scrapes_,
              scrapes_, refused_, asked_);
  EXPECT_EQ(testing_support::HttpGet(server_->http_port(), "/healthz").status, 200);
  if (!kSanitized) {
    EXPECT_EQ(Until({{"what it took goes back", [&] { return ResidentBesideParts() <= kBeside; }}}),
              "");
  }
  Print("at its end");
  EXPECT_EQ(server_->Terminate(), 0) << server_->Log();
}

// Three clients with prompts of 16 MB and one whose requests would swell to 24 times their bytes:
// three of such prompts alone once took 239 MiB.
TEST_F(OneLimitTest, LongRequestsStayWithinTheirParts) {
  const uint64_t idle = MemoryMiB(server_->pid(), "VmRSS");
  WorstInputs worst(server_.get());
  worst.LongPrompts();
  worst.Swelling();
  EXPECT_EQ(Until({{"prompts", [&] { return Sample("kvroute_requests_total", "Score") > 60; }}}),
            "");
  EXPECT_EQ(refused_, 0);
  Print("then");
  if (!kSanitized) {
    EXPECT_LE(MemoryMiB(server_->pid(), "VmHWM"), idle + 80);
  }
}

}  // namespace
}  // namespace kvroute
