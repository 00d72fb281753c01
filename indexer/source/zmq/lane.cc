#include "indexer/source/zmq/lane.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace kvroute {
namespace {

constexpr std::chrono::milliseconds kTick{100};

// Half of what there is for what is received, for each lane that decodes at a time.
size_t DecodedBytesOf(const ZmqSourceOptions& options) {
  if (options.received_memory == nullptr) return std::numeric_limits<size_t>::max();
  return static_cast<size_t>(options.received_memory->limit() / 2) /
         static_cast<size_t>(options.lanes);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Lane>> Lane::Start(const std::string& name,
                                                  const LaneContext& context) {
  std::unique_ptr<Lane> lane(new Lane(name, context));
  if (!lane->poll_set_.ok()) {
    return absl::ResourceExhaustedError("max_open_files: no file descriptor for a lane");
  }
  lane->thread_ = NamedThread(name, [lane = lane.get()] { lane->Run(); });
  return lane;
}

Lane::Lane(const std::string& name, const LaneContext& context)
    : name_(name),
      context_(context),
      replays_(context.options->max_replays_per_lane, context.budget, context.counters, &poll_set_,
               context.clock),
      memory_return_(context.counters, context.clock),
      last_turn_ns_(context.clock->Monotonic().count()) {
  context_.poll_set = &poll_set_;
  context_.replays = &replays_;
  context_.connect_log = &connect_log_;
  context_.decoder = [this](EngineKind kind) {
    std::unique_ptr<Decoder>& decoder = decoders_[static_cast<size_t>(kind)];
    if (decoder == nullptr) {
      const ZmqSourceOptions& options = *context_.options;
      decoder = std::make_unique<Decoder>(kind, options.media, DecodedBytesOf(options));
    }
    return decoder.get();
  };
}

Lane::~Lane() { Stop(); }

void Lane::Stop() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
  }
  poll_set_.Wake();
  thread_.Join();
}

void Lane::Add(std::shared_ptr<StreamStatus> status,
               std::unique_ptr<EventSubscription> subscription) {
  Post(AddCommand{std::move(status), std::move(subscription)});
}

void Lane::AddListener(std::unique_ptr<EventSubscription> subscription,
                       const ListenerConfig& config, Listener::OpenStream open_stream,
                       OnExpired on_expired) {
  Post(ListenCommand{std::move(subscription), config, std::move(open_stream),
                     std::move(on_expired)});
}

void Lane::Remove(StreamId id) { Post(RemoveCommand{id}); }

void Lane::AddLoad(std::shared_ptr<PushedLoad> load, LoadSourceCounts* counts,
                   std::unique_ptr<EventSubscription> subscription, const std::string& endpoint) {
  Post(LoadCommand{std::move(load), counts, std::move(subscription), endpoint});
}

void Lane::RemoveLoad(const PushedLoad* load) { Post(RemoveLoadCommand{load}); }

ThreadAge Lane::Age() const {
  const Nanos last_turn(last_turn_ns_.load(std::memory_order_relaxed));
  return {name_, std::max(Nanos(0), context_.clock->Monotonic() - last_turn)};
}

void Lane::Post(Command command) {
  {
    MutexLock lock(&mutex_);
    commands_.push_back(std::move(command));
  }
  poll_set_.Wake();
}

void Lane::Run() {
  while (TakeCommands()) {
    const bool ready = poll_set_.Wait(taken_.empty() ? kTick : std::chrono::milliseconds(0));
    const Turn turn(context_.clock, kTurn);
    const bool idle = !ready && taken_.empty();
    RunCommands(turn);
    poll_set_.Work(turn);
    if (context_.clock->Monotonic() >= next_tick_) TickAll();
    ReturnMemory(idle);
    context_.counters->turn_duration.Observe(turn.Length());
    last_turn_ns_.store(context_.clock->Monotonic().count(), std::memory_order_relaxed);
  }
  taken_.clear();
  loads_.clear();
  listeners_.clear();
  streams_.clear();
}

bool Lane::TakeCommands() {
  MutexLock lock(&mutex_);
  while (!commands_.empty()) {
    taken_.push_back(std::move(commands_.front()));
    commands_.pop_front();
  }
  return !stop_;
}

void Lane::RunCommands(const Turn& turn) {
  while (!taken_.empty()) {
    std::visit([this](auto& known) { Execute(std::move(known)); }, taken_.front());
    taken_.pop_front();
    if (turn.Over()) return;
  }
}

void Lane::Execute(AddCommand command) {
  const StreamId id = command.status->id;
  streams_.emplace(id, std::make_unique<ConnectedStream>(context_, std::move(command.status),
                                                         std::move(command.subscription)));
}

void Lane::Execute(ListenCommand command) {
  listeners_.push_back(std::make_unique<Listener>(context_, std::move(command.subscription),
                                                  command.config, std::move(command.open_stream),
                                                  std::move(command.on_expired)));
}

void Lane::Execute(RemoveCommand command) {
  streams_.erase(command.id);
  for (const auto& listener : listeners_) listener->Remove(command.id);
}

void Lane::Execute(LoadCommand command) {
  const PushedLoad* const load = command.load.get();
  loads_.emplace(load, std::make_unique<LoadFeed>(context_, std::move(command.load), command.counts,
                                                  std::move(command.subscription),
                                                  std::move(command.endpoint)));
}

void Lane::Execute(RemoveLoadCommand command) { loads_.erase(command.load); }

void Lane::TickAll() {
  next_tick_ = context_.clock->Monotonic() + kTick;
  for (const auto& [id, stream] : streams_) stream->Tick();
  for (const auto& listener : listeners_) listener->Tick();
  for (const auto& [load, feed] : loads_) feed->Tick();
  replays_.Tick();
}

// Whatever was queued in sockets and held behind replays has been applied.
void Lane::ReturnMemory(bool idle) {
  if (idle && replays_.empty()) memory_return_.OnIdle();
}

}  // namespace kvroute
