#ifndef KVROUTE_ROUTER_FLEET_FLEET_H_
#define KVROUTE_ROUTER_FLEET_FLEET_H_

#include <array>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "indexer/base/log.h"
#include "indexer/base/mutex.h"
#include "indexer/source/discovery.h"
#include "indexer/source/event_source.h"
#include "router/fleet/fleet_snapshot.h"
#include "router/fleet/fleet_table.h"
#include "router/fleet/worker_spec.h"
#include "router/load/load_tracker.h"

namespace kvroute {

struct FleetOptions {
  size_t max_streams = limits::kMaxStreams;
};

// The workers kvroute knows, whoever named them: the configuration file, the API, engines that
// connected to a listener, or somebody who looks for them. Who named a worker is its owner, and
// nobody else changes or removes it. Lets the source receive one stream for each target, and
// publishes what queries need as an immutable snapshot.
//
// Thread safety: every method from any thread. Changes are made one at a time; readers and lanes
// never wait for one. Ownership: the source and the load tracker must outlive the fleet; the
// destructor removes its streams from the source. Consistency: a change is in every snapshot taken
// after its method returned; what a lane has told (AddDiscovered, RemoveExpired) is so soon. Cost:
// of a change, what it changes, and a snapshot, which a thread of the fleet's own makes. Errors:
// INVALID_ARGUMENT names the field; ALREADY_EXISTS, NOT_FOUND and FAILED_PRECONDITION name the
// worker; RESOURCE_EXHAUSTED at max_streams. A change that fails changes nothing.
//
// Incarnations: a call that tells a lower one than the worker in force has is of an earlier start
// of it, and late: FAILED_PRECONDITION. Calls that tell none are not fenced.
class Fleet {
 public:
  Fleet(const FleetOptions& options, EventSource* source, LoadTracker* loads);
  ~Fleet();
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  // Adds a worker or replaces its registration. A rank whose StreamConfig stays the same keeps its
  // stream, what is known of its blocks, and its leases. ALREADY_EXISTS: an owner that replaces its
  // workers names one of this id, or another worker publishes at one of its endpoints.
  absl::Status Register(const WorkerSpec& spec);
  // FAILED_PRECONDITION: such an owner names the worker.
  absl::Status Deregister(std::string_view worker_id, uint64_t incarnation = 0);
  absl::Status SetDraining(std::string_view worker_id, bool draining, uint64_t incarnation = 0);

  // Makes `workers` the ones that `owner` names, in order of preference where two cannot both be;
  // what others have named stays. Of the configuration all are taken, or nothing changes; of any
  // other owner those that cannot be are left out. Returns those, and why. What stays the same
  // costs a look-up.
  std::vector<RefusedWorker> Replace(WorkerSource owner, absl::Span<const OwnedWorker> workers);
  // The same of the configuration.
  absl::Status ApplyConfig(absl::Span<const WorkerSpec> specs);

  // Adds a worker for a stream that a listener has heard for the first time. Called on a lane, so
  // it does not wait for the source. False: there is a worker of this name already, or the name
  // cannot be one, and the stream is not wanted.
  bool AddDiscovered(const DiscoveredStream& discovered);
  // Removes the worker of a discovered stream that has expired, and its leases. Called on a lane as
  // well; the caller closes the stream.
  void RemoveExpired(StreamId stream);
  // Until what lanes have told before is in every snapshot.
  void AwaitPublished() const { table_.AwaitPublished(); }

  // Changes of workers are numbered from 1 on; what streams and loads do is none.
  uint64_t ChangeNumber() const { return table_.ChangeNumber(); }
  // Of the changes behind `number` the first `limit`. nullopt: they are not kept any more (of the
  // last kMaxFleetHistory they are), or there has been no such number yet.
  std::optional<FleetChanges> ChangesSince(uint64_t number, size_t limit) const {
    return table_.ChangesSince(number, limit);
  }
  // Tells the numbers of this fleet from those of another, in any process. Drawn at random.
  uint64_t epoch() const { return epoch_; }

  // Brings a reader's own view up to date, which takes one atomic load if it is so already. Views
  // are not shared by threads: their count of references would be memory that all of them write.
  void Refresh(std::shared_ptr<const FleetSnapshot>* view) const { table_.Refresh(view); }
  std::shared_ptr<const FleetSnapshot> Snapshot() const { return table_.Snapshot(); }

 private:
  using EntryPtr = std::shared_ptr<const FleetEntry>;
  // One worker of a change: as it is to be, and as it is. `wanted` nullopt: it is to go; `before`
  // nullptr: it is new.
  struct Step {
    std::optional<FleetWorker> wanted;
    EntryPtr before;
  };

  // What is done with the steps of a change that cannot be done.
  enum class OnRefusal : uint8_t { kUndoAll, kLeaveOut };

  // Makes the steps one change: checks them, adds streams, publishes, ends what is no longer
  // wanted. A worker that is refused is gone, if the others are taken. Returns the refused ones.
  std::vector<RefusedWorker> Change(std::vector<Step> steps, OnRefusal on_refusal)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(change_mutex_);
  absl::Status ChangeAll(std::vector<Step> steps) ABSL_EXCLUSIVE_LOCKS_REQUIRED(change_mutex_);
  // nullopt: it stays as it is, or `why` it cannot be.
  std::optional<Step> StepOf(WorkerSource owner, const OwnedWorker& worker, absl::Status* why) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(change_mutex_);
  static void Refuse(Step* step, absl::Status why, std::vector<RefusedWorker>* refused);
  // What can only be said of all workers together: endpoints used twice, the number of ranks.
  void Check(std::vector<Step>* steps, std::vector<RefusedWorker>* refused) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(change_mutex_);
  void CheckEndpoints(std::vector<Step>* steps, std::vector<RefusedWorker>* refused) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(change_mutex_);
  // The wanted worker with its streams: those it has whose subscription stays the same, and new
  // ones, named in `added`.
  absl::StatusOr<EntryPtr> Realize(const Step& step, std::vector<StreamId>* added);
  absl::StatusOr<FleetTarget> NewTarget(const FleetEntry& entry, uint32_t rank,
                                        std::vector<StreamId>* added);
  // Brings publishers_ and owned_ up to date.
  void Note(const std::vector<Step>& steps) ABSL_EXCLUSIVE_LOCKS_REQUIRED(change_mutex_);

  const FleetOptions options_;
  const uint64_t epoch_;
  EventSource* const source_;
  LoadTracker* const loads_;

  // Held for the length of a change, calls into the source included; never by a lane or a reader.
  Mutex change_mutex_;
  // Of workers that kvroute connects to: who publishes at an endpoint.
  absl::flat_hash_map<std::string, std::string> publishers_ ABSL_GUARDED_BY(change_mutex_);
  // Ids by owner; not of discovered workers, which lanes add and remove.
  std::array<std::set<std::string, std::less<>>, kWorkerSourceCount> owned_
      ABSL_GUARDED_BY(change_mutex_);

  FleetTable table_;
  LogLimiter refused_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_FLEET_H_
