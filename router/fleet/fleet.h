#ifndef KVROUTE_ROUTER_FLEET_FLEET_H_
#define KVROUTE_ROUTER_FLEET_FLEET_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "indexer/base/mutex.h"
#include "indexer/source/discovery.h"
#include "indexer/source/event_source.h"
#include "router/fleet/fleet_snapshot.h"
#include "router/fleet/worker_spec.h"
#include "router/load/load_tracker.h"

namespace kvroute {

struct FleetOptions {
  size_t max_streams = limits::kMaxStreams;
};

// The workers kvroute knows, whoever named them: the configuration file, the API, or engines that
// connected to a listener. Lets the source receive one stream for each target, and publishes what
// queries need as an immutable snapshot.
//
// Thread safety: every method from any thread. Changes are made one at a time; readers never wait
// for one. Ownership: the source and the load tracker must outlive the fleet; the destructor
// removes its streams from the source. Consistency: a change is in every snapshot taken after its
// method returned. Errors: INVALID_ARGUMENT names the field; ALREADY_EXISTS, NOT_FOUND and
// FAILED_PRECONDITION name the worker; RESOURCE_EXHAUSTED at max_streams. A change that fails
// changes nothing.
class Fleet {
 public:
  Fleet(const FleetOptions& options, EventSource* source, LoadTracker* loads);
  ~Fleet();
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  // Adds a worker or replaces its registration. A rank whose StreamConfig stays the same keeps its
  // stream, what is known of its blocks, and its leases. ALREADY_EXISTS: the configuration names a
  // worker of this id, or another worker publishes at one of its endpoints.
  absl::Status Register(const WorkerSpec& spec);
  // FAILED_PRECONDITION: the configuration names the worker.
  absl::Status Deregister(std::string_view worker_id);
  absl::Status SetDraining(std::string_view worker_id, bool draining);

  // Makes `specs` the workers of the configuration, all of them or, on an error, none. Workers that
  // something else has named stay.
  absl::Status ApplyConfig(absl::Span<const WorkerSpec> specs);

  // Adds a worker for a stream that a listener has heard for the first time. Called on a lane, so
  // it does not wait for the source. False: there is a worker of this name already, and the stream
  // is not wanted.
  bool AddDiscovered(const DiscoveredStream& discovered);
  // Removes the worker of a discovered stream that has expired, and its leases. Called on a lane as
  // well; the caller closes the stream.
  void RemoveExpired(StreamId stream);

  // Brings a reader's own view up to date, which takes one atomic load if it is so already. Views
  // are not shared by threads: their count of references would be memory that all of them write.
  void Refresh(std::shared_ptr<const FleetSnapshot>* view) const;
  std::shared_ptr<const FleetSnapshot> Snapshot() const;

 private:
  struct Entry {
    std::shared_ptr<const FleetWorker> worker;
    std::vector<FleetTarget> targets;  // by rank
  };
  using Entries = std::map<std::string, Entry, std::less<>>;  // by worker id
  using Workers = std::map<std::string, FleetWorker, std::less<>>;

  Workers CopyWorkers() const;
  // What can only be said of all workers together: endpoints used twice, the number of ranks.
  absl::Status Check(const Workers& workers) const;
  // Makes `wanted` the fleet: checks it, adds streams, commits, ends what is no longer wanted.
  absl::Status Change(const Workers& wanted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(change_mutex_);
  // The worker with its streams: those of `before` whose subscription is the same, and new ones,
  // named in `added`.
  absl::StatusOr<Entry> Realize(const FleetWorker& wanted, const Entry* before,
                                std::vector<StreamId>* added);
  // Returns the targets that are no longer in the fleet.
  std::vector<FleetTarget> Commit(Entries&& changed, absl::Span<const std::string> removed);
  void EndTargets(const std::vector<FleetTarget>& gone);
  void Publish() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const FleetOptions options_;
  EventSource* const source_;
  LoadTracker* const loads_;

  // Held for the length of a change, calls into the source included; taken before mutex_, never by
  // a lane or a reader.
  Mutex change_mutex_;
  mutable Mutex mutex_;
  Entries entries_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, std::shared_ptr<ModelState>> models_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const FleetSnapshot> snapshot_ ABSL_GUARDED_BY(mutex_);
  std::atomic<uint64_t> version_{0};
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_FLEET_H_
