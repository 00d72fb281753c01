// Cold start at scale: an ingest that meets many engines at once, each with a long replay buffer,
// and the same batches applied from memory, one stream after the other.
//
//   cold_start [streams] [batches of each] [lanes] [zmq [room [pace]]]
//
// The engines share the machine. By default what they send is put together beforehand; with "zmq"
// they are what engines are, ROUTER sockets that are handed each reply, and take more time than
// what is measured. A ROUTER drops what finds no room, and one that is handed replies as fast as
// this process can fills a short pipe whoever reads; `pace` is how many a second each is handed.
//
// Exit status 0: every stream is exact, none was degraded meanwhile, and no thread stood still. The
// longest turn and the ratio of the two times are printed and judged by whoever reads them: they
// are the machine's as well.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "indexer/base/check.h"
#include "indexer/base/clock.h"
#include "indexer/base/log.h"
#include "indexer/source/zmq/zmq_source.h"
#include "indexer/stream/stream_machine.h"
#include "test/benchmark/support/replay_server.h"
#include "test/benchmark/support/wire_events.h"

namespace kvroute {
namespace {

constexpr size_t kBlocks = 8;  // an event; a batch has one

struct Plan {
  size_t streams = 2'000;
  size_t batches = 10'000;
  int lanes = 1;
  bool zmq = false;  // the engines' replay sockets
  size_t room = 0;   // of one of those, in replies; 0: for twice the buffer
  size_t pace = 0;   // replies a second of each; 0: one engine after the other, without a pause
};

void RaiseDescriptorLimit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

double Seconds(Nanos duration) { return std::chrono::duration<double>(duration).count(); }

uint64_t ResidentBytes() {
  uint64_t pages = 0;
  if (FILE* const statm = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(statm, "%*u %lu", &pages) != 1) pages = 0;
    std::fclose(statm);
  }
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

// The engines of one process: PUB and ROUTER sockets each, and one buffer for all, which none of
// them copies. Their replay sockets have room for twice the buffer, as vLLM's do since 0.33;
// before, and elsewhere, for 1,000 replies.
class Engines {
 public:
  Engines(const Plan& plan, const WireEvents* events) : plan_(plan), events_(events) {
    context_ = zmq_ctx_new();
    zmq_ctx_set(context_, ZMQ_MAX_SOCKETS, zmq_ctx_get(context_, ZMQ_SOCKET_LIMIT));
    if (!plan.zmq) replay_server_.emplace(plan.streams, plan.batches, *events);
    for (size_t i = 0; i < plan.streams; ++i) {
      Open(ZMQ_PUB);
      if (plan.zmq) {
        items_.push_back({Open(ZMQ_ROUTER), 0, ZMQ_POLLIN, 0});
      } else {
        endpoints_.push_back(replay_server_->endpoints()[i]);
      }
    }
  }

  // "event endpoint replay endpoint" of each.
  const std::vector<std::string>& endpoints() const { return endpoints_; }

  void ServeForEver() {
    if (replay_server_.has_value()) replay_server_->ServeForEver();
    constexpr size_t kRepliesBetweenPolls = 4'096;
    for (;;) {
      const int patience = replays_.empty() ? 20 : plan_.pace > 0 ? 1 : 0;
      zmq_poll(items_.data(), static_cast<int>(items_.size()), patience);
      for (const zmq_pollitem_t& item : items_) {
        if ((item.revents & ZMQ_POLLIN) != 0) TakeRequests(item.socket);
      }
      if (plan_.pace > 0) {
        std::erase_if(replays_, [this](Replay& replay) { return !AnswerDue(&replay); });
        continue;
      }
      for (size_t i = 0; i < kRepliesBetweenPolls && !replays_.empty(); ++i) {
        if (!AnswerOne(&replays_.front())) replays_.pop_front();
      }
    }
  }

 private:
  struct Replay {
    void* socket;
    std::string client;
    uint64_t next;
    Nanos last;  // time it was handed any
  };

  void* Open(int type) {
    void* const socket = zmq_socket(context_, type);
    KVROUTE_CHECK(socket != nullptr);
    const int room = static_cast<int>(plan_.room > 0 ? plan_.room : 2 * (plan_.batches + 1));
    zmq_setsockopt(socket, ZMQ_SNDHWM, &room, sizeof(room));
    KVROUTE_CHECK(zmq_bind(socket, "tcp://127.0.0.1:*") == 0);
    char endpoint[256];
    size_t size = sizeof(endpoint);
    KVROUTE_CHECK(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size) == 0);
    endpoints_.emplace_back(endpoint);
    return socket;
  }

  void TakeRequests(void* socket) {
    char client[256];
    uint8_t from[8];
    for (int size; (size = zmq_recv(socket, client, sizeof(client), ZMQ_DONTWAIT)) > 0;) {
      zmq_recv(socket, from, 0, 0);
      KVROUTE_CHECK(zmq_recv(socket, from, sizeof(from), 0) == sizeof(from));
      uint64_t next = 0;
      for (const uint8_t byte : from) next = next << 8 | byte;
      replays_.push_back({socket, std::string(client, static_cast<size_t>(size)), next,
                          Clock::Real().Monotonic()});
    }
  }

  // What its pace allows since the last time, but no burst of what it was late with. False: that
  // was all of it.
  bool AnswerDue(Replay* replay) {
    constexpr uint64_t kMostAtATime = 128;
    const Nanos now = Clock::Real().Monotonic();
    const double due = Seconds(now - replay->last) * static_cast<double>(plan_.pace);
    if (due < 1) return true;
    replay->last = now;
    for (uint64_t left = std::min(static_cast<uint64_t>(due), kMostAtATime); left > 0; --left) {
      if (!AnswerOne(replay)) return false;
    }
    return true;
  }

  bool AnswerOne(Replay* replay) {
    const bool end = replay->next >= plan_.batches;
    const uint64_t seq = end ? UINT64_MAX : replay->next;
    uint8_t number[8];
    for (size_t i = 0; i < sizeof(number); ++i) {
      number[i] = static_cast<uint8_t>(seq >> (56 - 8 * i));
    }
    zmq_send(replay->socket, replay->client.data(), replay->client.size(),
             ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(replay->socket, "", 0, ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(replay->socket, "", 0, ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(replay->socket, number, sizeof(number), ZMQ_SNDMORE | ZMQ_DONTWAIT);
    const std::string nothing;
    const std::string& payload = end ? nothing : events_->Payload(replay->next);
    zmq_msg_t message;
    zmq_msg_init_data(
        &message, const_cast<char*>(payload.data()), payload.size(), [](void*, void*) {}, nullptr);
    if (zmq_msg_send(&message, replay->socket, ZMQ_DONTWAIT) < 0) zmq_msg_close(&message);
    ++replay->next;
    return !end;
  }

  const Plan plan_;
  const WireEvents* const events_;
  void* context_ = nullptr;
  std::optional<ReplayServer> replay_server_;
  std::vector<std::string> endpoints_;
  std::vector<zmq_pollitem_t> items_;
  std::deque<Replay> replays_;
};

// A process of engines, which ends with this one.
class EngineProcess {
 public:
  EngineProcess(const Plan& plan, const WireEvents* events) {
    int ends[2];
    KVROUTE_CHECK(pipe(ends) == 0);
    child_ = fork();
    KVROUTE_CHECK(child_ >= 0);
    if (child_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      Engines engines(plan, events);
      FILE* const out = fdopen(ends[1], "w");
      for (const std::string& endpoint : engines.endpoints()) {
        std::fprintf(out, "%s\n", endpoint.c_str());
      }
      std::fclose(out);
      engines.ServeForEver();
    }
    close(ends[1]);
    FILE* const in = fdopen(ends[0], "r");
    char line[256];
    while (std::fscanf(in, "%255s", line) == 1) endpoints_.emplace_back(line);
    std::fclose(in);
    KVROUTE_CHECK(endpoints_.size() == 2 * plan.streams);
  }
  ~EngineProcess() {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }

  StreamConfig Config(size_t i) const {
    StreamConfig config;
    config.worker_id = "engine-" + std::to_string(i);
    config.event_endpoint = endpoints_[2 * i];
    config.replay_endpoint = endpoints_[2 * i + 1];
    return config;
  }
  const std::string& replay_endpoint(size_t i) const { return endpoints_[2 * i + 1]; }

 private:
  pid_t child_ = -1;
  std::vector<std::string> endpoints_;
};

// What the lane does with each batch, without sockets.
Nanos FromMemory(const Plan& plan, const WireEvents& events) {
  PrefixIndex index;
  StreamRegistry registry(&index, limits::kMaxStreams);
  IngestCounters counters;
  Decoder decoder;
  StreamConfig config;
  config.replay_endpoint = "tcp://127.0.0.1:1";
  std::vector<std::unique_ptr<StreamMachine>> machines;
  std::vector<std::shared_ptr<StreamStatus>> streams;
  const Nanos began = Clock::Real().Monotonic();
  for (size_t i = 0; i < plan.streams; ++i) {
    streams.push_back(*registry.Open(config));
    machines.push_back(std::make_unique<StreamMachine>(
        streams.back().get(), StreamOptions{}, &decoder, &index, &counters, &Clock::Real()));
    StreamMachine& machine = *machines.back();
    machine.OnConnected();
    machine.TakeReplayRequest();
    for (size_t seq = 0; seq < plan.batches; ++seq) {
      machine.OnReplayedBatch(seq, events.Payload(seq));
    }
    machine.OnReplayEnd();
    KVROUTE_CHECK(streams.back()->trust.load() == Trust::kExact);
  }
  return Clock::Real().Monotonic() - began;
}

// What it takes to have the bytes, of engines that send as fast as they can.
Nanos OnlyReceived(const Plan& plan, const WireEvents& events, const EngineProcess& engines) {
  if (plan.zmq) return Nanos(0);
  const size_t bytes = ReplayServer(0, plan.batches, events).bytes();
  const Nanos began = Clock::Real().Monotonic();
  for (size_t i = 0; i < plan.streams; ++i) {
    KVROUTE_CHECK(ReceiveReplay(engines.replay_endpoint(i), bytes) >= bytes);
  }
  return Clock::Real().Monotonic() - began;
}

struct Result {
  Nanos time{0};
  Nanos longest_turn{0};
  Nanos longest_stall{0};
  size_t not_exact = 0;
  bool was_degraded = false;
  uint64_t replays = 0;
  uint64_t resident_bytes = 0;
  uint64_t index_bytes = 0;
};

Result FromEngines(const Plan& plan, const EngineProcess& engines) {
  PrefixIndex index;
  StreamRegistry registry(&index, limits::kMaxStreams);
  IngestCounters counters;
  ZmqSourceOptions options;
  options.lanes = plan.lanes;
  auto source = ZmqSource::Start(options, &registry, &counters, &Clock::Real());
  KVROUTE_CHECK(source.ok());
  std::vector<std::shared_ptr<const StreamStatus>> streams;
  Result result;
  const Nanos began = Clock::Real().Monotonic();
  for (size_t i = 0; i < plan.streams; ++i) {
    auto stream = (*source)->AddStream(engines.Config(i));
    KVROUTE_CHECK(stream.ok());
    streams.push_back(*std::move(stream));
  }
  Nanos last = began;
  do {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    result.not_exact = 0;
    for (const auto& stream : streams) {
      const Trust trust = stream->trust.load();
      result.not_exact += trust != Trust::kExact ? 1 : 0;
      result.was_degraded |= trust == Trust::kDegraded;
    }
    for (const ThreadAge& thread : (*source)->ThreadAges()) {
      result.longest_stall = std::max(result.longest_stall, thread.without_progress);
    }
    const Nanos now = Clock::Real().Monotonic();
    if (now - last > std::chrono::seconds(10)) {
      last = now;
      std::printf("  %.0f s: %zu of %zu not exact, %lu replays run, %lu wait\n",
                  Seconds(now - began), result.not_exact, plan.streams,
                  static_cast<unsigned long>(counters.replays_running.load()),
                  static_cast<unsigned long>(counters.replays_waiting.load()));
      std::fflush(stdout);
    }
  } while (result.not_exact > 0 && !result.was_degraded);
  result.time = Clock::Real().Monotonic() - began;
  result.longest_turn = counters.turn_duration.Read().Quantile(1.0);
  for (const auto& stream : streams) result.replays += stream->replays.load();
  // Once the lanes have nothing to do, they give back what queues took.
  for (int i = 0; i < 50; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  result.resident_bytes = ResidentBytes();
  result.index_bytes = index.Stats().bytes;
  return result;
}

int Run(const Plan& plan) {
  RaiseDescriptorLimit();
  KVROUTE_CHECK(ConfigureLog({.level = "error", .format = "text"}).ok());
  const WireEvents events(/*seed=*/1, kBlocks, /*chains=*/64, /*held=*/16);
  const EngineProcess engines(plan, &events);
  const Result result = FromEngines(plan, engines);
  const Nanos received = OnlyReceived(plan, events, engines);
  const Nanos memory = FromMemory(plan, events);
  std::printf(
      "%zu streams x %zu batches, %d lanes: %.2f s, from memory %.2f s: %.2f times as long; "
      "received and dropped %.2f s: %.2f times the two\n"
      "not exact %zu, degraded %s, replays %lu, longest turn %.1f ms, longest stall %.0f ms, "
      "resident %.0f MiB, index %.1f MiB\n",
      plan.streams, plan.batches, plan.lanes, Seconds(result.time), Seconds(memory),
      Seconds(result.time) / Seconds(memory), Seconds(received),
      Seconds(result.time) / Seconds(memory + received), result.not_exact,
      result.was_degraded ? "yes" : "no", static_cast<unsigned long>(result.replays),
      Ms(result.longest_turn), Ms(result.longest_stall),
      static_cast<double>(result.resident_bytes) / (1 << 20),
      static_cast<double>(result.index_bytes) / (1 << 20));
  const bool good = result.not_exact == 0 && !result.was_degraded &&
                    result.longest_stall < limits::kThreadStallAfter;
  return good ? 0 : 1;
}

}  // namespace
}  // namespace kvroute

int main(int argc, char** argv) {
  kvroute::Plan plan;
  if (argc > 1) plan.streams = std::strtoul(argv[1], nullptr, 10);
  if (argc > 2) plan.batches = std::strtoul(argv[2], nullptr, 10);
  if (argc > 3) plan.lanes = static_cast<int>(std::strtoul(argv[3], nullptr, 10));
  if (argc > 4) plan.zmq = std::string_view(argv[4]) == "zmq";
  if (argc > 5) plan.room = std::strtoul(argv[5], nullptr, 10);
  if (argc > 6) plan.pace = std::strtoul(argv[6], nullptr, 10);
  if (plan.streams == 0 || plan.batches == 0 || plan.lanes < 1) {
    std::fprintf(stderr,
                 "usage: cold_start [streams] [batches of each] [lanes] [zmq [room [pace]]]\n");
    return 2;
  }
  return kvroute::Run(plan);
}
