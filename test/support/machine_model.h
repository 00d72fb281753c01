#ifndef KVROUTE_TEST_SUPPORT_MACHINE_MODEL_H_
#define KVROUTE_TEST_SUPPORT_MACHINE_MODEL_H_

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>

#include "indexer/stream/stream_machine.h"
#include "test/support/fake_clock.h"
#include "test/support/model_engine.h"

namespace kvroute {

// How bad a network is: chances in percent, and what an engine and a lane can do.
struct Network {
  int drop = 0;
  int repeat = 0;
  int damage = 0;
  int drop_reply = 0;
  int drop_end = 0;
  int damage_reply = 0;
  int cut = 0;
  int restart = 0;
  int late = 0;          // what was under way when a connection broke comes behind the news of that
  int early = 0;         // a new connection's batches come before the news of it
  size_t burst = 1;      // live batches that come in one turn of the lane
  int turn_ms = 20;      // between two turns, at most
  size_t buffer = 1000;  // batches the engine can replay
  bool replay = true;
  size_t max_held_batches = limits::kMaxHeldBatches;
  size_t max_held_memory_bytes = limits::kMaxHeldMemoryBytes;
  int replay_limit_ms = 120'000;
  int fresh_start_ms = 10'000;
};
// Everything at once, each in a measure of its own.
Network RandomNetwork(uint64_t seed);
std::string Describe(const Network& network);

// For tests: an engine, a network and a lane around one StreamMachine, which is judged after each
// call. Whatever the network does:
// * of an engine that was lost sight of, no more blocks are held wrongly than are unconfirmed;
// * whenever the stream is exact, every answer is the engine's own as of the number it has come to;
// * a live batch that was handed over is applied, counted as a duplicate, or held; what is held is
//   applied later, unless its publisher is gone, something behind it is lost, which ends what it
//   meant, or a replay from the engine takes its place;
// * without a replay, each number that was never applied is counted as missing;
// * from a batch on that says that the engine holds nothing, the stream is not degraded until
//   something is lost or damaged again.
class MachineModel {
 public:
  MachineModel(const Network& network, uint64_t seed);

  void Run(int steps);
  // Nothing more goes wrong and the engine falls silent.
  void Calm();
  void Publish(bool clear = false);
  // What is under way comes, in one turn.
  void DeliverAll();
  void Check();
  // However much was lost: no more is wrong than is said to be in doubt.
  void CheckDoubt();

  const StreamStatus& status() const { return status_; }
  const ModelEngine& engine() const { return engine_; }
  int exact_checks() const { return exact_checks_; }
  int doubt_checks() const { return doubt_checks_; }
  uint64_t delivered() const { return delivered_; }
  uint64_t lost() const { return lost_; }

 private:
  struct Message {
    int connection;
    uint64_t seq;
    std::string payload;
  };
  enum class Call : uint8_t { kLive, kReply, kDrain, kOther };

  bool Chance(int percent) { return static_cast<int>(random_() % 100) < percent; }
  std::string Damaged(std::string payload) const;

  void Break();
  void Connect();
  void RestartEngine();
  void FollowConnection();
  void Turn();
  void Deliver();
  void Reply();
  void FollowMachine();

  void Judge(Call call, std::optional<uint64_t> seq, const std::function<void()>& run);
  void JudgeLive(uint64_t seq, bool applied, bool restarted, uint64_t held_before,
                 uint64_t duplicates_before);
  void Applied(uint64_t seq);
  void Skipped();
  uint64_t Bad() const;

  Network network_;
  const bool damages_;
  std::mt19937_64 random_;
  ModelEngine engine_;
  FakeClock clock_;
  PrefixIndex index_;
  IngestCounters counters_;
  Decoder decoder_;
  StreamStatus status_;
  StreamOptions options_;
  std::optional<StreamMachine> machine_;

  int connection_ = 0;        // odd: there is one
  int known_connection_ = 0;  // that the machine was told of
  std::deque<Message> wire_;
  std::deque<std::pair<uint64_t, std::string>> buffer_;
  std::optional<uint64_t> asked_;
  std::deque<std::pair<uint64_t, std::string>> replies_;
  bool answering_ = false;
  Nanos next_tick_{0};

  std::map<uint64_t, int> kept_;  // live batches that must not be skipped, and their connection
  bool known_ = false;            // nothing was lost or damaged since a known point
  uint64_t delivered_ = 0;
  uint64_t lost_ = 0;
  int exact_checks_ = 0;
  int doubt_checks_ = 0;
};

}  // namespace kvroute

#endif  // KVROUTE_TEST_SUPPORT_MACHINE_MODEL_H_
