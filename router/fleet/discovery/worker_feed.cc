#include "router/fleet/discovery/worker_feed.h"

#include <utility>

#include "indexer/base/error.h"

namespace kvroute {

WorkerFeed::WorkerFeed(Fleet* fleet, std::chrono::milliseconds try_refused_again)
    : fleet_(fleet), try_refused_again_(try_refused_again) {
  thread_ = NamedThread("fleet-feed", [this] { Run(); });
}

WorkerFeed::~WorkerFeed() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
  }
  changed_.NotifyAll();
  thread_.Join();
}

void WorkerFeed::Set(WorkerSource owner, std::vector<OwnedWorker> workers) {
  {
    MutexLock lock(&mutex_);
    owners_[owner].next = std::move(workers);
  }
  changed_.NotifyAll();
}

WorkerFeedStats WorkerFeed::Stats(WorkerSource owner) const {
  MutexLock lock(&mutex_);
  const auto it = owners_.find(owner);
  if (it == owners_.end()) return {};
  WorkerFeedStats stats = it->second.stats;
  stats.pending = it->second.next.has_value() || it->second.giving;
  return stats;
}

void WorkerFeed::Run() {
  std::map<WorkerSource, std::vector<OwnedWorker>> sets;
  while (Next(&sets)) {
    const PulseOfWork pulse(&pulse_);
    for (auto& [owner, workers] : std::exchange(sets, {})) Give(owner, std::move(workers));
  }
}

bool WorkerFeed::Next(std::map<WorkerSource, std::vector<OwnedWorker>>* sets) {
  MutexLock lock(&mutex_);
  bool timed_out = false;
  while (!ending_) {
    bool some_refused = false;
    for (auto& [owner, state] : owners_) {
      some_refused = some_refused || !state.last.empty();
      if (!state.next && !(timed_out && !state.last.empty())) continue;
      sets->emplace(owner, state.next ? *std::exchange(state.next, std::nullopt) : state.last);
      state.giving = true;
    }
    if (!sets->empty()) return true;
    if (some_refused) {
      timed_out = !changed_.WaitFor(&mutex_, try_refused_again_);
    } else {
      changed_.Wait(&mutex_);
    }
  }
  return false;
}

void WorkerFeed::Give(WorkerSource owner, std::vector<OwnedWorker> workers) {
  const std::vector<RefusedWorker> refused = fleet_->Replace(owner, workers);
  if (!refused.empty()) {
    if (const uint64_t lines = refused_.Admit(Clock::Real().Monotonic())) {
      LogWarning("{}: {} of {} workers are not taken; one of them: {} ({} alike not shown)",
                 WorkerSourceName(owner), refused.size(), workers.size(),
                 MessageOf(refused.front().why), lines - 1);
    }
  }
  MutexLock lock(&mutex_);
  Owner& state = owners_[owner];
  state.giving = false;
  ++state.stats.changes;
  state.stats.refused = refused.size();
  state.stats.last_reason = refused.empty() ? "" : std::string(MessageOf(refused.front().why));
  state.last = refused.empty() ? std::vector<OwnedWorker>() : std::move(workers);
}

}  // namespace kvroute
