#ifndef KVROUTE_ROUTER_FLEET_SCRAPE_SCRAPER_H_
#define KVROUTE_ROUTER_FLEET_SCRAPE_SCRAPER_H_

#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/random/random.h"
#include "indexer/base/enum_names.h"
#include "indexer/base/log.h"
#include "router/fleet/fleet.h"
#include "router/fleet/scrape/engine_metrics.h"
#include "router/http/http_client.h"

namespace kvroute {

struct ScrapeOptions {
  std::chrono::milliseconds interval{1'000};  // of each engine, a tenth more or less
  std::chrono::milliseconds timeout{1'000};
  std::string path = "/metrics";
  // After so many failures in a row an engine does not answer, and its numbers count no longer.
  uint32_t failures = 3;
  HttpTls tls;
  std::string token_file;  // empty: none
  // Where alone workers may be that clients named; outlives the scraper. Null: anywhere.
  const NetworkList* client_networks = nullptr;
};

// How asking an engine ended. Metric label values.
enum class ScrapeResult : uint8_t {
  kLoad,      // its page says its load
  kNoLoad,    // it answers, but no page that says its load
  kNoAnswer,  // it does not answer
};
inline constexpr auto kScrapeResultNames =
    NamesUpTo<ScrapeResult::kNoAnswer>("load", "no_load", "no_answer");
inline constexpr size_t kScrapeResultCount = kScrapeResultNames.size();

struct ScrapeCounts {
  std::array<std::atomic<uint64_t>, kScrapeResultCount> scrapes{};
  std::atomic<uint64_t> engines{0};        // that are asked
  std::atomic<uint64_t> not_answering{0};  // of them, now
};

// Where an engine whose worker has this address is asked: "http://host:port" and the path; empty:
// the address is none of host and port, and nobody is asked.
std::string ScrapeUrl(std::string_view address, std::string_view path);

// Asks every engine of the fleet for its metrics, and writes what they say into the loads of their
// targets: whether it answers, its queue, its cache. Targets at one address are asked for once. One
// that may have died is asked at once: whose events' connection is lost, and who has just failed to
// answer. What an engine says of its load unasked (PushedLoads) stays.
//
// Thread safety: made and destroyed on any thread but the client's. Ownership: client and fleet
// outlive it.
class Scraper {
 public:
  Scraper(HttpClient* client, const Fleet* fleet, const ScrapeOptions& options);
  ~Scraper();
  Scraper(const Scraper&) = delete;
  Scraper& operator=(const Scraper&) = delete;

  const ScrapeCounts& counts() const { return counts_; }

 private:
  struct Asked {
    std::shared_ptr<TargetLoad> load;
    std::shared_ptr<const StreamStatus> stream;
    bool connected = false;       // that stream, when it was last looked at
    uint32_t published_rank = 0;  // what the engine calls the rank
    uint32_t begun_before = 0;    // when it was last asked
  };
  // Everything at one address.
  struct Engine {
    std::vector<Asked> targets;
    uint32_t failures = 0;
    bool named_by_client = false;
    bool is_asked = false;  // and has not answered yet
    HttpTransferId transfer;
    HttpTimerId timer;
    Nanos asked_at{0};
  };

  void FollowFleet();
  void TakeFleet();
  void AskWhoWasLost();
  void Schedule(const std::string& url, Nanos delay);
  void Ask(const std::string& url);
  void OnReply(const std::string& url, Engine* engine, const HttpReply& reply);
  void OnAnswer(Engine* engine);
  void OnFailure(const std::string& url, Engine* engine, const HttpReply& reply);
  bool WriteNumbers(const Engine& engine);
  static void Write(const EngineNumbers& numbers, Nanos at, const Asked& asked);
  static void Spoil(const Engine& engine);
  Nanos Jittered(Nanos around);

  HttpClient* const client_;
  const Fleet* const fleet_;
  const ScrapeOptions options_;
  ScrapeCounts counts_;

  // The client's thread's.
  std::shared_ptr<const FleetSnapshot> view_;
  uint64_t version_ = 0;
  std::map<std::string, Engine> engines_;  // by URL
  std::vector<EngineNumbers> numbers_;
  HttpTimerId following_;
  bool ending_ = false;
  absl::BitGen random_;
  LogLimiter limiter_{std::chrono::seconds(10)};
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_SCRAPE_SCRAPER_H_
