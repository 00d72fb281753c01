#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_PICKER_CASES_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_PICKER_CASES_H_

#include <benchmark/benchmark.h>

#include "test/benchmark/support/picker_prompts.h"

namespace kvroute {

// On what pickers are measured, directly and behind Envoy: token ids and remembered text, of each
// size, one at a time and 64.
inline void PickerCases(benchmark::internal::Benchmark* benchmark) {
  benchmark->UseManualTime()->Unit(benchmark::kMillisecond);
  for (const int64_t text : {0, 1}) {
    for (const size_t bytes : kPickerBodyBytes) {
      for (const int64_t at_a_time : {1, 64}) {
        benchmark->Args({text, static_cast<int64_t>(bytes), at_a_time});
      }
    }
  }
}

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_PICKER_CASES_H_
