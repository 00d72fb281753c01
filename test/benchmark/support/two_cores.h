#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_TWO_CORES_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_TWO_CORES_H_

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <vector>

#include "test/benchmark/support/sampler.h"

namespace kvroute {

// On lines of its own: what two threads write must not lie side by side.
template <typename T>
struct alignas(256) Own {
  T value;
};

// Runs one or two works for stretches of wall time, each on a core of its own (the same one where
// the process may use only one), and adds up what the machine gave meanwhile.
class TwoCores {
 public:
  TwoCores();

  // Called over and over; the turns of one stretch count up.
  using Work = std::function<void(uint64_t turn)>;

  // Turns a second of each; the i-th on the i-th of the two cores, none where it is empty.
  // `first_turn` of the second work, 0 of the first.
  std::vector<double> Run(std::initializer_list<Work> works, uint64_t first_turn);

  // What both reach together, each in parts of what it reaches on its core alone, before or after:
  // 2 is perfect.
  double Speedup(const Work& first, const Work& second, uint64_t first_turn = 0);
  // Turns a second that the two did alone, in the last Speedup.
  double first_alone() const { return first_alone_; }
  double second_alone() const { return second_alone_; }

  // cpu_share and probe_ns.
  void Report(benchmark::State* state) const;

 private:
  const std::vector<int> cores_;
  double first_alone_ = 0;
  double second_alone_ = 0;
  double processor_s_ = 0;
  double cores_s_ = 0;
  SpeedProbe probe_;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_TWO_CORES_H_
