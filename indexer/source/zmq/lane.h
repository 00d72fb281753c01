#ifndef KVROUTE_INDEXER_SOURCE_ZMQ_LANE_H_
#define KVROUTE_INDEXER_SOURCE_ZMQ_LANE_H_

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "indexer/base/mutex.h"
#include "indexer/base/named_thread.h"
#include "indexer/source/event_source.h"
#include "indexer/source/zmq/listener.h"
#include "indexer/source/zmq/stream_worker.h"

namespace kvroute {

// One thread and the streams whose events it applies, in turns of bounded work each.
//
// Thread safety: Add, Remove, AddListener and Age from any thread; they return at once.
class Lane {
 public:
  // `context` without its poll set and decoders, which are the lane's own.
  Lane(const std::string& name, const LaneContext& context);
  ~Lane();  // as Stop
  // Ends the thread and closes the sockets.
  void Stop();

  void Add(std::shared_ptr<StreamStatus> status, std::unique_ptr<EventSubscription> subscription);
  void AddListener(std::unique_ptr<EventSubscription> subscription, const ListenerConfig& config,
                   Listener::OpenStream open_stream, OnExpired on_expired);
  void Remove(StreamId id);
  LaneAge Age() const;

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
  using Command = std::variant<AddCommand, ListenCommand, RemoveCommand>;

  void Post(Command command);
  void Run();
  bool RunCommands();  // false: to end
  void Execute(AddCommand command);
  void Execute(ListenCommand command);
  void Execute(RemoveCommand command);
  void TickAll();

  const std::string name_;
  PollSet poll_set_;
  LaneContext context_;
  std::array<std::unique_ptr<Decoder>, kEngineKindCount> decoders_;
  // Of the lane's thread.
  absl::flat_hash_map<StreamId, std::unique_ptr<ConnectedStream>> streams_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  Nanos next_tick_{0};
  std::atomic<int64_t> last_turn_ns_;  // monotonic, when the last turn ended

  Mutex mutex_;
  std::vector<Command> commands_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  NamedThread thread_;  // last: it starts when everything else is there
};

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_SOURCE_ZMQ_LANE_H_
