#ifndef KVROUTE_ROUTER_FLEET_FLEET_TABLE_H_
#define KVROUTE_ROUTER_FLEET_FLEET_TABLE_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "indexer/base/mutex.h"
#include "indexer/base/named_thread.h"
#include "router/fleet/fleet_snapshot.h"
#include "router/fleet/published.h"
#include "router/fleet/snapshot_builder.h"
#include "router/load/load_tracker.h"

namespace kvroute {

// Some of a fleet's changes, in order, each worker once and as it is now.
struct FleetChanges {
  uint64_t number = 0;  // of the last of them
  std::vector<std::shared_ptr<const FleetEntry>> workers;
  std::vector<std::string> removed;  // their ids
};

// The workers in force by id, and the newest snapshot of them. A thread of its own makes snapshots:
// a change costs whoever makes it a few look-ups, however large the fleet, and readers nothing but
// the copy of a pointer. Snapshots that were replaced are freed on that thread as well.
//
// Thread safety: every method from any thread; none waits for a snapshot but those that say so.
// Ownership: the load tracker must outlive it.
class FleetTable {
 public:
  explicit FleetTable(LoadTracker* loads);
  ~FleetTable();
  FleetTable(const FleetTable&) = delete;
  FleetTable& operator=(const FleetTable&) = delete;

  // nullptr: there is no such worker.
  std::shared_ptr<const FleetEntry> Find(std::string_view worker_id) const;
  size_t TargetCount() const;

  // Puts each of `entries` in place of the one with its id, if any, and takes away `removed`; one
  // change. One of a discovered worker counts only while its stream is there still: it may have
  // expired. Returns the targets that are no longer in the fleet, once no new snapshot has them.
  std::vector<FleetTarget> Apply(std::vector<std::shared_ptr<const FleetEntry>> entries,
                                 absl::Span<const std::string> removed);

  // Adds the worker of a discovered stream; it is in a snapshot soon. False: its id is taken.
  bool AddDiscovered(std::shared_ptr<const FleetEntry> entry);
  // Takes it away, and drops its leases once no new snapshot has it. nullptr: there is none of that
  // stream.
  std::shared_ptr<const FleetWorker> RemoveDiscovered(StreamId stream);

  // Until everything that was changed before is in every new snapshot.
  void AwaitPublished() const;

  // See Fleet.
  uint64_t ChangeNumber() const { return change_number_.load(std::memory_order_acquire); }
  std::optional<FleetChanges> ChangesSince(uint64_t number, size_t limit) const;
  void Refresh(std::shared_ptr<const FleetSnapshot>* view) const;
  std::shared_ptr<const FleetSnapshot> Snapshot() const { return snapshots_.Read(); }

 private:
  using Change = std::pair<std::string, std::shared_ptr<const FleetEntry>>;  // nullptr: removed
  // What was changed since the last snapshot was begun.
  struct Pending {
    std::vector<Change> changes;  // in order
    std::vector<std::shared_ptr<TargetLoad>> leaving;
    uint64_t number = 0;  // of changes ever
  };

  void Set(std::string_view worker_id, std::shared_ptr<const FleetEntry> entry,
           std::vector<FleetTarget>* had) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Await(uint64_t number) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void PublishChanges();
  // False: the table ends. Otherwise `pending` may be empty.
  bool NextPending(bool free_soon, Pending* pending);
  void Publish(uint64_t change_number);

  LoadTracker* const loads_;

  // Of the publishing thread.
  SnapshotBuilder builder_;
  std::vector<std::shared_ptr<const FleetSnapshot>> replaced_;  // that readers may still have

  Published<FleetSnapshot> snapshots_;
  std::atomic<uint64_t> version_{0};
  std::atomic<uint64_t> change_number_{0};

  mutable Mutex mutex_;  // never held for longer than a change is large
  std::map<std::string, std::shared_ptr<const FleetEntry>, std::less<>> entries_
      ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<StreamId, std::string> discovered_ ABSL_GUARDED_BY(mutex_);
  size_t targets_ ABSL_GUARDED_BY(mutex_) = 0;
  Pending pending_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::string> history_ ABSL_GUARDED_BY(mutex_);  // who was changed, up to now
  uint64_t published_ ABSL_GUARDED_BY(mutex_) = 0;  // number of changes in the newest snapshot
  mutable bool awaited_ ABSL_GUARDED_BY(mutex_) = false;  // somebody waits for the next one
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  mutable CondVar changed_, hurry_, published_more_;

  NamedThread thread_;  // last: started when all else is there
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_FLEET_TABLE_H_
