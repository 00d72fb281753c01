#ifndef KVROUTE_TOOLS_FLEET_PERCENTILES_H_
#define KVROUTE_TOOLS_FLEET_PERCENTILES_H_

#include <vector>

namespace kvroute {

struct Percentiles {
  double p50 = 0, p90 = 0, p99 = 0;
};
// By nearest rank; zeros when empty.
Percentiles PercentilesOf(std::vector<double> samples);

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_FLEET_PERCENTILES_H_
