#ifndef KVROUTE_ROUTER_FLEET_FLEET_LOG_H_
#define KVROUTE_ROUTER_FLEET_FLEET_LOG_H_

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "router/fleet/fleet_snapshot.h"

namespace kvroute {

// Says in the log what has become of the fleet since it last looked: workers that came, went or
// changed, whoever named them. One line each, with worker, model, source, ranks and the change as
// fields. What came and went between two looks is not seen; what streams are worth, they say
// themselves.
//
// Thread safety: one thread.
class FleetLog {
 public:
  // Of one look; the rest is said as a number. A fleet of thousands that restarts is no news of
  // thousands.
  static constexpr size_t kMostLines = 200;

  // The first look tells of every worker.
  void Follow(const FleetSnapshot& fleet);

 private:
  using Workers = std::map<std::string, std::shared_ptr<const FleetWorker>, std::less<>>;

  void Say(const FleetWorker& worker, std::string_view what);

  Workers workers_;
  size_t lines_ = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_FLEET_LOG_H_
