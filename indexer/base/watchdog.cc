#include "indexer/base/watchdog.h"

#include <utility>

namespace kvroute {

void Watchdog::Watch(std::string name, const ThreadPulse* pulse) {
  MutexLock lock(&mutex_);
  watched_.push_back({std::move(name), pulse, 0, Nanos(0)});
}

void Watchdog::Forget(const ThreadPulse* pulse) {
  MutexLock lock(&mutex_);
  std::erase_if(watched_, [pulse](const Watched& watched) { return watched.pulse == pulse; });
}

void Watchdog::Sample(Nanos now) {
  MutexLock lock(&mutex_);
  for (Watched& watched : watched_) {
    const uint64_t beats = watched.pulse->beats();
    if (beats == watched.beats) continue;
    watched.beats = beats;
    watched.since = now;
  }
}

std::vector<ThreadAge> Watchdog::Ages(Nanos now) const {
  std::vector<ThreadAge> ages;
  MutexLock lock(&mutex_);
  for (const Watched& watched : watched_) {
    const uint64_t beats = watched.pulse->beats();
    const bool stands = beats % 2 == 1 && beats == watched.beats;
    ages.push_back({watched.name, stands ? now - watched.since : Nanos(0)});
  }
  return ages;
}

}  // namespace kvroute
