#include "test/benchmark/support/two_cores.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <latch>
#include <string>
#include <thread>

#include "indexer/base/check.h"
#include "indexer/base/named_thread.h"
#include "test/benchmark/support/processor_time.h"

namespace kvroute {
namespace {

constexpr auto kStretch = std::chrono::milliseconds(25);
constexpr auto kWarmUp = std::chrono::milliseconds(8);  // a core's caches after other work

// The first and the last core the process may use: the same one where it has only one.
std::vector<int> FirstAndLastCore() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  KVROUTE_CHECK(sched_getaffinity(0, sizeof(allowed), &allowed) == 0);
  std::vector<int> cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &allowed)) cores.push_back(core);
  }
  return {cores.front(), cores.back()};
}

void StayOnCore(int core) {
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(core, &only);
  KVROUTE_CHECK(pthread_setaffinity_np(pthread_self(), sizeof(only), &only) == 0);
}

}  // namespace

TwoCores::TwoCores() : cores_(FirstAndLastCore()) {}

std::vector<double> TwoCores::Run(std::initializer_list<Work> works, uint64_t first_turn) {
  std::vector<double> rates(works.size());
  std::vector<Own<SpeedProbe>> probes(works.size());
  const auto busy =
      std::count_if(works.begin(), works.end(), [](const Work& work) { return !!work; });
  std::atomic<bool> stop{false};
  std::latch begun(busy + 1);
  {
    std::vector<NamedThread> threads;
    for (size_t i = 0; i < works.size(); ++i) {
      const Work& work = works.begin()[i];
      if (!work) continue;
      threads.emplace_back("core-" + std::to_string(i), [&, i] {
        StayOnCore(cores_[i]);
        uint64_t turn = i * first_turn;
        const auto warm = std::chrono::steady_clock::now() + kWarmUp;
        while (std::chrono::steady_clock::now() < warm) work(turn++);
        const uint64_t first = turn;
        begun.arrive_and_wait();
        const auto start = std::chrono::steady_clock::now();
        for (; !stop.load(std::memory_order_relaxed); ++turn) {
          work(turn);
          if (turn % 1024 == 0) probes[i].value.Take();
        }
        const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
        rates[i] = static_cast<double>(turn - first) / elapsed.count();
      });
    }
    begun.arrive_and_wait();
    const double before = ProcessorSeconds();
    const auto start = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(kStretch);  // the length of the measurement, not a condition
    stop.store(true);
    threads.clear();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    processor_s_ += ProcessorSeconds() - before;
    cores_s_ += elapsed.count() * static_cast<double>(busy);
  }
  for (const Own<SpeedProbe>& probe : probes) probe_.Add(probe.value);
  return rates;
}

double TwoCores::Speedup(const Work& first, const Work& second, uint64_t first_turn) {
  first_alone_ = Run({first, nullptr}, first_turn)[0];
  const std::vector<double> both = Run({first, second}, first_turn);
  second_alone_ = Run({nullptr, second}, first_turn)[1];
  return both[0] / first_alone_ + both[1] / second_alone_;
}

void TwoCores::Report(benchmark::State* state) const {
  state->counters["cpu_share"] = processor_s_ / cores_s_;
  state->counters["probe_ns"] = probe_.MeanNs(Sampler::Clock());
}

}  // namespace kvroute
