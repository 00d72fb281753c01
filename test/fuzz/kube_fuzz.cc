#include <cstdint>
#include <string_view>

#include "indexer/base/check.h"
#include "router/fleet/discovery/kube_objects.h"
#include "router/fleet/discovery/model_learner.h"
#include "router/fleet/discovery/service_records.h"

// Whatever an API server, an engine or a name server sends: no crash, and what is read of it keeps
// its promises.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static auto* const reader = new kvroute::KubeReader();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto event = reader->ReadLine(text);
  if (event.ok() && event->change <= kvroute::KubeChange::kDeleted) {
    KVROUTE_CHECK(!event->object.name.empty());
    for (const uint32_t port : event->object.ports) KVROUTE_CHECK(port <= 65'535);
  }
  (void)reader->ReadPage(text);
  const auto models = kvroute::ReadModelList(text);
  KVROUTE_CHECK(!models.ok() || !models->model.empty());
  const auto services = kvroute::ServiceRecords::ReadReply(text);
  KVROUTE_CHECK(services.addresses.empty() == (services.trouble != kvroute::ConnectTrouble::kNone));
  return 0;
}
