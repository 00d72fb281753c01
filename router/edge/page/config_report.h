#ifndef KVROUTE_ROUTER_EDGE_PAGE_CONFIG_REPORT_H_
#define KVROUTE_ROUTER_EDGE_PAGE_CONFIG_REPORT_H_

#include <cstdint>
#include <string>
#include <vector>

namespace kvroute {

// What a person is told of the configuration in force.
struct ConfigReport {
  std::string name;  // of the file; empty: none
  int64_t in_force_since_unix_ns = 0;
  uint64_t applied = 0;  // reloads
  uint64_t failed = 0;
  std::string last_error;                        // of the last reload; empty: it was applied
  std::vector<std::string> waiting_for_restart;  // fields
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_PAGE_CONFIG_REPORT_H_
