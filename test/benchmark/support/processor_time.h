#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_PROCESSOR_TIME_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_PROCESSOR_TIME_H_

#include <sys/resource.h>

namespace kvroute {

// Processor time that all threads of the process have had, in user mode and in the kernel.
inline double ProcessorSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_PROCESSOR_TIME_H_
