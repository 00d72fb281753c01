#include "router/fleet/fleet_table.h"

#include <algorithm>
#include <chrono>

#include "absl/container/flat_hash_set.h"
#include "indexer/base/api_limits.h"

namespace kvroute {
namespace {

// Of snapshots that nobody waits for: a thousand topics that are discovered one after the other are
// a few snapshots, not a thousand.
constexpr std::chrono::milliseconds kBetweenSnapshots{10};
// How long a replaced snapshot that readers had may be kept when they have it no more.
constexpr std::chrono::seconds kFreeWithin{1};

bool IsDiscovered(const FleetEntry& entry) {
  return entry.worker->source == WorkerSource::kDiscovered;
}

}  // namespace

FleetTable::FleetTable(LoadTracker* loads) : loads_(loads) {
  Publish(0);
  thread_ = NamedThread("fleet-publish", [this] { PublishChanges(); });
}

FleetTable::~FleetTable() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
  }
  changed_.NotifyAll();
  hurry_.NotifyAll();
  thread_.Join();
}

std::shared_ptr<const FleetEntry> FleetTable::Find(std::string_view worker_id) const {
  MutexLock lock(&mutex_);
  const auto it = entries_.find(worker_id);
  return it == entries_.end() ? nullptr : it->second;
}

size_t FleetTable::TargetCount() const {
  MutexLock lock(&mutex_);
  return targets_;
}

// The one place where entries_, what is counted of it, and what is to be published change.
void FleetTable::Set(std::string_view worker_id, std::shared_ptr<const FleetEntry> entry,
                     std::vector<FleetTarget>* had) {
  const auto [it, added] = entries_.try_emplace(std::string(worker_id));
  if (!added) {
    const FleetEntry& before = *it->second;
    if (IsDiscovered(before)) discovered_.erase(before.targets.front().stream->id);
    targets_ -= before.targets.size();
    had->insert(had->end(), before.targets.begin(), before.targets.end());
  }
  pending_.changes.emplace_back(it->first, entry);
  ++pending_.number;
  history_.push_back(it->first);
  if (history_.size() > limits::kMaxFleetHistory) history_.pop_front();
  change_number_.store(pending_.number, std::memory_order_release);
  if (entry == nullptr) {
    entries_.erase(it);
    return;
  }
  if (IsDiscovered(*entry)) discovered_.emplace(entry->targets.front().stream->id, it->first);
  targets_ += entry->targets.size();
  it->second = std::move(entry);
}

std::vector<FleetTarget> FleetTable::Apply(std::vector<std::shared_ptr<const FleetEntry>> entries,
                                           absl::Span<const std::string> removed) {
  std::vector<FleetTarget> had;
  absl::flat_hash_set<StreamId> kept;
  {
    MutexLock lock(&mutex_);
    for (const std::string& id : removed) {
      if (entries_.contains(id)) Set(id, nullptr, &had);
    }
    for (std::shared_ptr<const FleetEntry>& entry : entries) {
      const StreamId first = entry->targets.front().stream->id;
      if (IsDiscovered(*entry) && !discovered_.contains(first)) continue;
      for (const FleetTarget& target : entry->targets) kept.insert(target.stream->id);
      const std::string_view id = entry->worker->spec.worker_id;
      Set(id, std::move(entry), &had);
    }
    Await(pending_.number);
  }
  std::erase_if(had, [&](const FleetTarget& target) { return kept.contains(target.stream->id); });
  return had;
}

bool FleetTable::AddDiscovered(std::shared_ptr<const FleetEntry> entry) {
  {
    MutexLock lock(&mutex_);
    const std::string& id = entry->worker->spec.worker_id;
    if (entries_.contains(id)) return false;
    std::vector<FleetTarget> none;
    Set(id, std::move(entry), &none);
  }
  changed_.NotifyOne();
  return true;
}

std::shared_ptr<const FleetWorker> FleetTable::RemoveDiscovered(StreamId stream) {
  std::vector<FleetTarget> gone;
  {
    MutexLock lock(&mutex_);
    const auto it = discovered_.find(stream);
    if (it == discovered_.end()) return nullptr;
    const std::string id = it->second;
    Set(id, nullptr, &gone);
    for (const FleetTarget& target : gone) pending_.leaving.push_back(target.load);
  }
  changed_.NotifyOne();
  return gone.front().worker;
}

std::optional<FleetChanges> FleetTable::ChangesSince(uint64_t number, size_t limit) const {
  MutexLock lock(&mutex_);
  const uint64_t forgotten = pending_.number - history_.size();  // changes that are not kept
  if (number < forgotten || number > pending_.number) return std::nullopt;
  FleetChanges changes;
  changes.number = std::min(number + limit, pending_.number);
  absl::flat_hash_set<std::string_view> named;
  for (uint64_t i = number - forgotten; i < changes.number - forgotten; ++i) {
    const std::string& id = history_[i];
    if (!named.insert(id).second) continue;
    const auto it = entries_.find(id);
    if (it == entries_.end()) {
      changes.removed.push_back(id);
    } else {
      changes.workers.push_back(it->second);
    }
  }
  return changes;
}

void FleetTable::AwaitPublished() const {
  MutexLock lock(&mutex_);
  Await(pending_.number);
}

void FleetTable::Await(uint64_t number) const {
  while (published_ < number) {
    awaited_ = true;
    changed_.NotifyOne();
    hurry_.NotifyOne();
    published_more_.Wait(&mutex_);
  }
}

void FleetTable::Refresh(std::shared_ptr<const FleetSnapshot>* view) const {
  if (*view != nullptr && (*view)->version == version_.load(std::memory_order_acquire)) return;
  *view = Snapshot();
}

// The thread's body.
void FleetTable::PublishChanges() {
  Pending pending;
  while (NextPending(!replaced_.empty(), &pending)) {
    for (Change& change : pending.changes) builder_.Set(change.first, std::move(change.second));
    if (!pending.changes.empty()) Publish(pending.number);
    for (const std::shared_ptr<TargetLoad>& load : pending.leaving) loads_->Drop(load.get());
    std::erase_if(replaced_, [](const auto& snapshot) { return snapshot.use_count() == 1; });
    {
      MutexLock lock(&mutex_);
      published_ = pending.number;
    }
    published_more_.NotifyAll();
  }
}

bool FleetTable::NextPending(bool free_soon, Pending* pending) {
  MutexLock lock(&mutex_);
  if (!ending_ && !awaited_) hurry_.WaitFor(&mutex_, kBetweenSnapshots);
  bool waiting = true;
  while (!ending_ && waiting && published_ == pending_.number) {
    if (free_soon) {
      waiting = changed_.WaitFor(&mutex_, kFreeWithin);
    } else {
      changed_.Wait(&mutex_);
    }
  }
  *pending = std::exchange(pending_, Pending{{}, {}, pending_.number});
  awaited_ = false;
  return !ending_;
}

void FleetTable::Publish(uint64_t change_number) {
  std::shared_ptr<const FleetSnapshot> snapshot = builder_.Build(change_number);
  const uint64_t version = snapshot->version;
  if (std::shared_ptr<const FleetSnapshot> before = snapshots_.Read(); before != nullptr) {
    replaced_.push_back(std::move(before));
  }
  snapshots_.Publish(std::move(snapshot));
  version_.store(version, std::memory_order_release);
}

}  // namespace kvroute
