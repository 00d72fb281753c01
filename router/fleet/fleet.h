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
// connected to a listener. Has one stream a (worker, rank) received by the source, and publishes
// what queries need as an immutable snapshot.
//
// Thread safety: every method from any thread. Changes are made one at a time; readers never wait
// for one. Ownership: the source and the load tracker must outlive it; its streams are removed with
// it. Consistency: a change is in every snapshot taken after its method returned. Errors:
// INVALID_ARGUMENT names the field; ALREADY_EXISTS, NOT_FOUND and FAILED_PRECONDITION name the
// worker; RESOURCE_EXHAUSTED at max_streams. A change that fails changes nothing.
class Fleet {
 public:
  Fleet(const FleetOptions& options, EventSource* source, LoadTracker* loads);
  ~Fleet();
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  // Adds a worker or replaces its registration. A rank whose subscription is the same keeps its
  // stream, its match and its leases. ALREADY_EXISTS: the id is the configuration's, or another
  // worker publishes at one of its endpoints.
  absl::Status Register(const WorkerSpec& spec);
  // FAILED_PRECONDITION: the worker is the configuration's.
  absl::Status Deregister(std::string_view worker_id);
  absl::Status SetDraining(std::string_view worker_id, bool draining);

  // Makes the configured workers these: all of it or, on an error, none. Workers registered
  // otherwise stay.
  absl::Status ApplyConfig(absl::Span<const WorkerSpec> specs);

  // A worker of its own for a stream first heard of on a listener. Does not block on the source (it
  // runs on a lane). False when there are such workers already: its stream is not wanted.
  bool AddDiscovered(const DiscoveredStream& discovered);
  // Takes away the worker of a discovered stream that has expired, with its leases. Does not block
  // either; the stream is closed by who calls.
  void RemoveExpired(StreamId stream);

  // Brings a reader's own view up to date: one atomic load when it is. A reader keeps one view a
  // thread.
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
  // What only the whole fleet can be asked: endpoints used twice, the number of ranks.
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
