#ifndef KVROUTE_ROUTER_FLEET_SCRAPE_PUSHED_LOADS_H_
#define KVROUTE_ROUTER_FLEET_SCRAPE_PUSHED_LOADS_H_

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "indexer/base/log.h"
#include "indexer/source/load_source.h"
#include "router/fleet/fleet.h"
#include "router/http/http_client.h"

namespace kvroute {

struct PushedLoadOptions {
  // Of the port of a rank's load socket to that of its events; 0: nobody pushes.
  uint32_t port_offset = 0;
  // Engines say their load each second at least: so long after the last word it is too old.
  std::chrono::milliseconds stale_after{3'000};
};

struct PushedLoadCounts {
  std::atomic<uint64_t> pushing{0};  // targets whose load is such a word, now
  std::atomic<uint64_t> refused{0};  // targets whose socket could not be opened, now
};

// The load socket of a stream whose events come from `event_endpoint`; empty: it can have none.
std::string LoadEndpoint(std::string_view event_endpoint, uint32_t port_offset);

// Follows what SGLang's engines say of their load themselves, and writes it into the loads of their
// targets, where it counts before what is scraped: it is of this moment. One that falls silent is
// scraped like any other.
//
// Thread safety: made and destroyed on any thread but the client's. Ownership: client, source and
// fleet outlive it.
class PushedLoads {
 public:
  PushedLoads(HttpClient* client, LoadSource* source, const Fleet* fleet,
              const PushedLoadOptions& options, const Clock* clock = &Clock::Real());
  ~PushedLoads();
  PushedLoads(const PushedLoads&) = delete;
  PushedLoads& operator=(const PushedLoads&) = delete;

  const PushedLoadCounts& counts() const { return counts_; }

 private:
  // Of one target, by its endpoint.
  struct Followed {
    std::shared_ptr<const PushedLoad> pushed;  // nullptr: its socket could not be opened
    std::shared_ptr<TargetLoad> load;
    std::shared_ptr<const StreamStatus> stream;
    int64_t written_ns = 0;     // at_ns of what was written last
    uint32_t begun_before = 0;  // when it was last looked at
    uint64_t version = 0;       // of the fleet it was last seen in
  };

  void Look();
  void TakeFleet();
  void Open(const std::string& endpoint, Followed* followed);
  void Write(Followed* followed, Nanos now);
  static void Spoil(const Followed& followed);

  HttpClient* const client_;
  LoadSource* const source_;
  const Fleet* const fleet_;
  const PushedLoadOptions options_;
  const Clock* const clock_;
  PushedLoadCounts counts_;

  // The client's thread's.
  std::shared_ptr<const FleetSnapshot> view_;
  std::map<std::string, Followed> followed_;
  Nanos open_again_at_{0};
  HttpTimerId timer_;
  LogLimiter limiter_{std::chrono::seconds(10)};
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_SCRAPE_PUSHED_LOADS_H_
