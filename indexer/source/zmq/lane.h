#ifndef KVROUTE_INDEXER_SOURCE_ZMQ_LANE_H_
#define KVROUTE_INDEXER_SOURCE_ZMQ_LANE_H_

#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "indexer/base/mutex.h"
#include "indexer/base/named_thread.h"
#include "indexer/source/event_source.h"
#include "indexer/source/zmq/listener.h"
#include "indexer/source/zmq/load_feed.h"
#include "indexer/source/zmq/memory_return.h"
#include "indexer/source/zmq/replay_queue.h"
#include "indexer/source/zmq/stream_worker.h"

namespace kvroute {

// One thread and the streams whose events it applies, in turns of kTurn each: whatever is ready,
// and whatever is asked of it, waits for no more than that, but for the time that one batch takes.
//
// Thread safety: Add, Remove, AddListener, AddLoad, RemoveLoad and Age from any thread; they return
// at once.
class Lane {
 public:
  static constexpr std::chrono::milliseconds kTurn{20};

  // `context` without what is the lane's own. RESOURCE_EXHAUSTED without descriptors.
  static absl::StatusOr<std::unique_ptr<Lane>> Start(const std::string& name,
                                                     const LaneContext& context);
  ~Lane();  // as Stop
  // Ends the thread and closes the sockets.
  void Stop();

  void Add(std::shared_ptr<StreamStatus> status, std::unique_ptr<EventSubscription> subscription);
  void AddListener(std::unique_ptr<EventSubscription> subscription, const ListenerConfig& config,
                   Listener::OpenStream open_stream, OnExpired on_expired);
  void Remove(StreamId id);
  // `counts` outlives the lane.
  void AddLoad(std::shared_ptr<PushedLoad> load, LoadSourceCounts* counts,
               std::unique_ptr<EventSubscription> subscription, const std::string& endpoint);
  void RemoveLoad(const PushedLoad* load);
  ThreadAge Age() const;

 private:
  struct AddCommand {
    std::shared_ptr<StreamStatus> status;
    std::unique_ptr<EventSubscription> subscription;
  };
  struct ListenCommand {
    std::unique_ptr<EventSubscription> subscription;
    ListenerConfig config;
    Listener::OpenStream open_stream;
    OnExpired on_expired;
  };
  struct RemoveCommand {
    StreamId id;
  };
  struct LoadCommand {
    std::shared_ptr<PushedLoad> load;
    LoadSourceCounts* counts;
    std::unique_ptr<EventSubscription> subscription;
    std::string endpoint;
  };
  struct RemoveLoadCommand {
    const PushedLoad* load;
  };
  using Command =
      std::variant<AddCommand, ListenCommand, RemoveCommand, LoadCommand, RemoveLoadCommand>;

  Lane(const std::string& name, const LaneContext& context);
  void Post(Command command);
  void Run();
  bool TakeCommands();  // false: to end
  void RunCommands(const Turn& turn);
  void Execute(AddCommand command);
  void Execute(ListenCommand command);
  void Execute(RemoveCommand command);
  void Execute(LoadCommand command);
  void Execute(RemoveLoadCommand command);
  void TickAll();
  void ReturnMemory(bool idle);

  const std::string name_;
  PollSet poll_set_;
  LaneContext context_;
  ReplayQueue replays_;
  LogLimiter connect_log_{std::chrono::milliseconds(100)};
  std::array<std::unique_ptr<Decoder>, kEngineKindCount> decoders_;
  // Of the lane's thread.
  absl::flat_hash_map<StreamId, std::unique_ptr<ConnectedStream>> streams_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  absl::flat_hash_map<const PushedLoad*, std::unique_ptr<LoadFeed>> loads_;
  std::deque<Command> taken_;  // of commands_, to be run
  Nanos next_tick_{0};
  MemoryReturn memory_return_;
  std::atomic<int64_t> last_turn_ns_;  // monotonic, when the last turn ended

  Mutex mutex_;
  std::deque<Command> commands_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  NamedThread thread_;  // last: it starts when everything else is there
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_ZMQ_LANE_H_
