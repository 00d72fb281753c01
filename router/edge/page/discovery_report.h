#ifndef KVROUTE_ROUTER_EDGE_PAGE_DISCOVERY_REPORT_H_
#define KVROUTE_ROUTER_EDGE_PAGE_DISCOVERY_REPORT_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace kvroute {

// What a person is told of who looks for engines, and of what engines say of themselves.
struct DiscoveryReport {
  using Counts = std::vector<std::pair<std::string, uint64_t>>;  // by reason, or how it ended

  struct Finder {
    std::string name;       // pool, pods, objectives, rewrites, file, dns
    bool up = false;        // in touch with where it looks
    bool seen = false;      // has been so once: what there was is known
    bool optional = false;  // it finds no engines, and nobody waits for it
    std::string state;
    uint64_t events = 0;
    Counts troubles;
  };
  struct Owner {
    std::string source;  // as in kvroute_workers
    uint64_t refused = 0;
    std::string last_refusal;
    uint64_t unknown_models = 0;
    uint64_t event_sources = 0;          // workers that say themselves where they publish
    uint64_t refused_event_sources = 0;  // answers that could not be used
  };
  std::vector<Finder> finders;
  std::vector<Owner> owners;

  bool scrapes = false;
  uint64_t engines_asked = 0;
  uint64_t engines_not_answering = 0;
  Counts scrape_results;

  bool pushes = false;  // engines are listened to that say their load unasked
  uint64_t engines_pushing = 0;
  uint64_t push_refused = 0;
  Counts load_messages;

  uint64_t transfers_open = 0;
  uint64_t received_bytes = 0;
  Counts transfers;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_PAGE_DISCOVERY_REPORT_H_
