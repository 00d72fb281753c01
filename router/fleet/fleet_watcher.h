#ifndef KVROUTE_ROUTER_FLEET_FLEET_WATCHER_H_
#define KVROUTE_ROUTER_FLEET_FLEET_WATCHER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "indexer/base/enum_names.h"
#include "router/fleet/fleet.h"
#include "router/fleet/worker_filter.h"

namespace kvroute {

// Why a watcher is told all workers and not only what has changed; numbered as in the API.
enum class WatchSnapshot : uint8_t { kNo, kFirst, kOtherStart, kFellBehind };
inline constexpr auto kWatchSnapshotNames =
    NamesUpTo<WatchSnapshot::kFellBehind>("no", "first", "other_start", "fell_behind");

// What a watcher is told at once.
struct FleetNews {
  WatchSnapshot snapshot = WatchSnapshot::kNo;  // not kNo: of all workers, these are some
  bool more = false;                            // the rest of them follows
  std::vector<std::shared_ptr<const FleetWorker>> workers;
  std::vector<std::string> removed;  // ids: gone, or not of the filter any more
  std::string resume_token;          // where it goes on; empty: with all workers
};

// One who wants to know every change of a fleet. It keeps its place in the fleet's numbered changes
// and nothing else: who takes news slowly skips what was changed twice, and one whose place is so
// far back that the changes behind it are not kept any more is told all workers anew.
//
// Thread safety: one thread. Ownership: the fleet must outlive it; while it tells all workers it
// holds a snapshot.
class FleetWatcher {
 public:
  FleetWatcher(const Fleet* fleet, WorkerFilter filter);

  // Where to begin: behind what was told with the token. INVALID_ARGUMENT: it is none.
  absl::Status Begin(std::string_view resume_token);
  // What is to be told now, kWorkersAtOnce at most; nullopt: nothing is. The first time there
  // always is something, be it empty.
  std::optional<FleetNews> Next();

  static constexpr size_t kWorkersAtOnce = 256;

 private:
  void TakeSnapshot(WatchSnapshot why);
  FleetNews NextOfSnapshot();
  FleetNews Write(const FleetChanges& changes);
  std::string TokenAt(uint64_t number) const;

  const Fleet* const fleet_;
  const WorkerFilter filter_;
  bool begun_ = false;  // something has been told
  uint64_t number_ = 0;
  // While all workers are told: who is next.
  std::shared_ptr<const FleetSnapshot> snapshot_;
  WatchSnapshot why_ = WatchSnapshot::kNo;
  std::string next_page_;
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_FLEET_FLEET_WATCHER_H_
