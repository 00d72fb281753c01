#ifndef KVROUTE_TEST_BENCHMARK_SUPPORT_LONGEST_WAIT_H_
#define KVROUTE_TEST_BENCHMARK_SUPPORT_LONGEST_WAIT_H_

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string>

#include "indexer/base/check.h"

namespace kvroute {

// The longest of many operations of one thread: of all, and of those during which the scheduler
// took the core away neither from it nor from the thread beside it, for which it may have waited.
// Where it does, an operation takes milliseconds, whatever it does.
//
// Thread safety: one thread; Beside before or while the other one times.
class LongestWait {
 public:
  LongestWait() = default;
  ~LongestWait() {
    if (schedstat_ >= 0) close(schedstat_);
  }
  LongestWait(const LongestWait&) = delete;
  LongestWait& operator=(const LongestWait&) = delete;

  // The thread that may be waited for; it lives as long as operations are timed.
  void Beside(pthread_t other) {
    KVROUTE_CHECK(pthread_getcpuclockid(other, &other_) == 0);
    beside_ = true;
  }

  template <typename Operation>
  void Time(Operation operation) {
    const double delayed = DelayedMicros();
    const long faults = Faults();
    const double others_had = beside_ ? MicrosOf(other_) : 0;
    const double had = MicrosOf(CLOCK_THREAD_CPUTIME_ID);
    const double start = MicrosOf(CLOCK_MONOTONIC);
    operation();
    const double took = MicrosOf(CLOCK_MONOTONIC) - start;
    most_processor_us_ = std::max(most_processor_us_, MicrosOf(CLOCK_THREAD_CPUTIME_ID) - had);
    const double other_ran = beside_ ? MicrosOf(other_) - others_had : took;
    ++count_;
    longest_of_all_us_ = std::max(longest_of_all_us_, took);
    if (DelayedMicros() - delayed > kShortestSlice || other_ran < took - kShortestSlice) {
      ++delayed_;
    } else if (Faults() != faults) {
      ++faulted_;
      longest_fault_us_ = std::max(longest_fault_us_, took);
    } else {
      longest_us_ = std::max(longest_us_, took);
    }
  }

  // Counters <prefix>longest_us, <prefix>longest_of_all_us, <prefix>most_processor_us,
  // <prefix>longest_with_fault_us, <prefix>delayed, <prefix>faulted and <prefix>operations.
  void Report(benchmark::State* state, const std::string& prefix) const {
    state->counters[prefix + "longest_us"] = longest_us_;
    state->counters[prefix + "longest_with_fault_us"] = longest_fault_us_;
    state->counters[prefix + "longest_of_all_us"] = longest_of_all_us_;
    state->counters[prefix + "most_processor_us"] = most_processor_us_;
    state->counters[prefix + "delayed"] = static_cast<double>(delayed_);
    state->counters[prefix + "faulted"] = static_cast<double>(faulted_);
    state->counters[prefix + "operations"] = static_cast<double>(count_);
  }

 private:
  // Microseconds. Without its core for less a thread was in an interrupt, or between two clocks.
  static constexpr double kShortestSlice = 100;

  static double MicrosOf(clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) * 1e-3;
  }
  // Of the calling thread: who waits for another one's has waited.
  static long Faults() {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_minflt;
  }
  // For how long the calling thread, in all, was ready and had no core.
  double DelayedMicros() {
    if (schedstat_ < 0) schedstat_ = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    char text[64] = {};
    KVROUTE_CHECK(pread(schedstat_, text, sizeof(text) - 1, 0) > 0);
    unsigned long long delayed = 0;
    KVROUTE_CHECK(std::sscanf(text, "%*u %llu", &delayed) == 1);
    return static_cast<double>(delayed) * 1e-3;
  }

  int schedstat_ = -1;
  bool beside_ = false;
  clockid_t other_{};
  double longest_us_ = 0;
  double longest_fault_us_ = 0;
  double longest_of_all_us_ = 0;
  double most_processor_us_ = 0;
  uint64_t delayed_ = 0;
  uint64_t faulted_ = 0;
  uint64_t count_ = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_BENCHMARK_SUPPORT_LONGEST_WAIT_H_
