#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_PICKER_CONTEST_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_PICKER_CONTEST_H_

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "test/benchmark/support/route_server_process.h"

namespace kvroute {

// Of at least one value.
inline double QuantileOf(std::vector<double> values, double q) {
  const auto place = values.begin() + static_cast<ptrdiff_t>(q * double(values.size() - 1) + 0.5);
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

// kvroute's picker and the floor, each in a process of its own, on all cores but this thread's.
struct PickerServers {
  explicit PickerServers(int engine_port)
      : kvroute({"picker_server", "kvroute", std::to_string(engine_port)}, client_core.others()),
        floor({"picker_server", "floor", std::to_string(engine_port)}, client_core.others()) {}
  const ClientCore client_core;
  RouteServerProcess kvroute, floor;
};

// What one turn of a load found.
struct PickerTurn {
  size_t requests = 0;
  std::chrono::nanoseconds took{0};
  std::chrono::nanoseconds cpu{0};  // of the picker's process
  std::vector<double> pick_ns;      // of each request
};

// The turns of one picker, and what a benchmark says of them.
class PickerRounds {
 public:
  void Add(PickerTurn turn) {
    per_second.push_back(static_cast<double>(turn.requests) /
                         std::chrono::duration<double>(turn.took).count());
    cpu_ns.push_back(static_cast<double>(turn.cpu.count()) / static_cast<double>(turn.requests));
    pick_ns.insert(pick_ns.end(), turn.pick_ns.begin(), turn.pick_ns.end());
  }

  std::vector<double> per_second, cpu_ns;  // by turn
  std::vector<double> pick_ns;             // of all
};

// Medians of rounds: what the machine does meanwhile it does to both.
inline double MedianRatio(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> ratios;
  for (size_t i = 0; i < a.size(); ++i) ratios.push_back(a[i] / b[i]);
  return QuantileOf(std::move(ratios), 0.5);
}

inline void ReportPickers(const PickerRounds& kvroute, const PickerRounds& floor,
                          benchmark::State* state) {
  auto& counters = state->counters;
  counters["p50_ns"] = QuantileOf(kvroute.pick_ns, 0.5);
  counters["p99_ns"] = QuantileOf(kvroute.pick_ns, 0.99);
  counters["floor_p50_ns"] = QuantileOf(floor.pick_ns, 0.5);
  counters["floor_p99_ns"] = QuantileOf(floor.pick_ns, 0.99);
  counters["requests_per_s"] = QuantileOf(kvroute.per_second, 0.5);
  counters["floor_requests_per_s"] = QuantileOf(floor.per_second, 0.5);
  counters["floor_share"] = MedianRatio(kvroute.per_second, floor.per_second);
  counters["picker_cpu_ns"] = QuantileOf(kvroute.cpu_ns, 0.5);
  counters["floor_cpu_ns"] = QuantileOf(floor.cpu_ns, 0.5);
  counters["floor_cpu_ratio"] = MedianRatio(kvroute.cpu_ns, floor.cpu_ns);
}

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_PICKER_CONTEST_H_
