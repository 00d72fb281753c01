#ifndef KVROUTE_ROUTER_FLEET_DISCOVERY_DNS_H_
#define KVROUTE_ROUTER_FLEET_DISCOVERY_DNS_H_

#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "indexer/base/log.h"
#include "indexer/base/mutex.h"
#include "indexer/base/name_service.h"
#include "indexer/base/named_thread.h"
#include "router/fleet/discovery/found_engine.h"

namespace kvroute {

struct DnsOptions {
  // "host:port", whose addresses are engines, or "_service._proto.host", whose SRV records name
  // them with their ports.
  std::vector<std::string> names;
  std::chrono::milliseconds interval{10'000};
  std::chrono::milliseconds not_ready_grace{300'000};
  EngineDefaults engines;
  std::shared_ptr<NameService> addresses = NameService::System();
  std::shared_ptr<NameService> services;  // null: ServiceRecords
};

// INVALID_ARGUMENT: it is neither form.
absl::Status CheckDnsName(const std::string& name);

struct DnsCounts {
  std::atomic<bool> up{false};        // every name was answered the last time
  std::atomic<uint64_t> changes{0};   // sets that were found
  std::atomic<uint64_t> failures{0};  // questions that nobody answered
};

// Finds engines by name: for people without Kubernetes, or with a headless service. Names are asked
// for again and again. What is no longer named keeps its index for a while and gets no requests, as
// a pod that is not ready: then it goes. While nobody answers, nothing changes.
//
// Thread safety: `on_workers` runs on a thread of its own, which waits for no name server.
class DnsDiscovery {
 public:
  DnsDiscovery(DnsOptions options, OnWorkers on_workers);
  ~DnsDiscovery();
  DnsDiscovery(const DnsDiscovery&) = delete;
  DnsDiscovery& operator=(const DnsDiscovery&) = delete;

  const DnsCounts& counts() const { return counts_; }

 private:
  struct Place {
    std::string host;
    uint32_t port = 0;
    Nanos last_named{0};
    bool is_named = false;  // in the last answer
  };
  struct Name {
    std::string text;
    bool is_service = false;
    std::string host;  // what is asked for
    uint32_t port = 0;
    std::shared_ptr<const NameLookups::Question> question;
    std::map<std::string, Place> places;  // by "host:port"
    bool answered = false;                // once
    bool failed = false;                  // the last time
  };

  void Run();
  void AskAll();
  // True: something has changed.
  bool TakeAnswers();
  bool TakeAnswer(Name* name, const NameAnswer& answer, Nanos now);
  bool DropOld(Nanos now);
  void Publish();

  const DnsOptions options_;
  const OnWorkers on_workers_;
  const std::shared_ptr<WakeFd> wake_ = std::make_shared<WakeFd>();
  NameLookups addresses_;
  NameLookups services_;
  DnsCounts counts_;
  std::vector<Name> names_;  // the thread's
  LogLimiter limiter_{std::chrono::seconds(10)};
  std::atomic<bool> ending_{false};
  NamedThread thread_;  // last
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_DISCOVERY_DNS_H_
