#ifndef KVROUTE_ROUTER_FLEET_DISCOVERY_SERVICE_RECORDS_H_
#define KVROUTE_ROUTER_FLEET_DISCOVERY_SERVICE_RECORDS_H_

#include <netinet/in.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "indexer/base/name_service.h"

namespace kvroute {

// Where a service runs, as SRV records say it: the answer to "_http._tcp.vllm.ns.svc" is
// "host:port" for each. Thread safety: any thread. May take as long as name servers do.
class ServiceRecords final : public NameService {
 public:
  // As the system is set up; or asks one server, for tests.
  explicit ServiceRecords(std::optional<sockaddr_in> server = std::nullopt) : server_(server) {}

  NameAnswer AddressesOf(const std::string& service) override;

  // What a reply of a name server says; for AddressesOf.
  static NameAnswer ReadReply(std::string_view message);

 private:
  const std::optional<sockaddr_in> server_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_DISCOVERY_SERVICE_RECORDS_H_
