#include "indexer/source/zmq/lane.h"

#include <algorithm>
#include <utility>

namespace kvroute {
namespace {

constexpr std::chrono::milliseconds kTick{100};

}  // namespace

Lane::Lane(const std::string& name, const LaneContext& context)
    : name_(name), context_(context), last_turn_ns_(context.clock->Monotonic().count()) {
  context_.poll_set = &poll_set_;
  context_.decoder = [this](EngineKind kind) {
    std::unique_ptr<Decoder>& decoder = decoders_[static_cast<size_t>(kind)];
    if (decoder == nullptr) decoder = std::make_unique<Decoder>(kind);
    return decoder.get();
  };
  thread_ = NamedThread(name, [this] { Run(); });
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

LaneAge Lane::Age() const {
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
  while (RunCommands()) {
    poll_set_.RunOnce(kTick);
    const Nanos now = context_.clock->Monotonic();
    if (now >= next_tick_) TickAll();
    last_turn_ns_.store(now.count(), std::memory_order_relaxed);
  }
  listeners_.clear();
  streams_.clear();
}

bool Lane::RunCommands() {
  std::vector<Command> commands;
  {
    MutexLock lock(&mutex_);
    if (stop_) return false;
    commands.swap(commands_);
  }
  for (Command& command : commands) {
    std::visit([this](auto& known) { Execute(std::move(known)); }, command);
  }
  return true;
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

void Lane::TickAll() {
  next_tick_ = context_.clock->Monotonic() + kTick;
  for (const auto& [id, stream] : streams_) stream->Tick();
  for (const auto& listener : listeners_) listener->Tick();
}

}  // namespace kvroute
