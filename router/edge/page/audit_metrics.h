#ifndef KVROUTE_ROUTER_EDGE_PAGE_AUDIT_METRICS_H_
#define KVROUTE_ROUTER_EDGE_PAGE_AUDIT_METRICS_H_

#include <string_view>

#include "indexer/telemetry/exposition.h"
#include "router/audit/audit.h"
#include "router/fleet/fleet_snapshot.h"

namespace kvroute {

// What was predicted beside what engines had: of all, and of one target.
void AddAuditMetrics(const AuditStats& stats, Exposition* out);
void AddStreamAudit(const FleetTarget& target, std::string_view rank, Exposition* out);

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_PAGE_AUDIT_METRICS_H_
