#include "test/support/machine_model.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace kvroute {

using std::chrono::milliseconds;

Network RandomNetwork(uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto often = [&](int most) {  // half of the time never
    return random() % 2 == 0 ? 0 : static_cast<int>(random() % static_cast<uint64_t>(most + 1));
  };
  const auto one_of = [&](std::initializer_list<size_t> values) {
    return values.begin()[random() % values.size()];
  };
  Network network{.drop = often(20), .repeat = often(10), .damage = often(10)};
  network.drop_reply = often(20);
  network.drop_end = often(40);
  network.damage_reply = often(5);
  network.cut = often(5);
  network.restart = often(1);
  network.late = often(100);
  network.early = often(100);
  network.burst = one_of({1, 3, 10, 100});
  network.turn_ms = static_cast<int>(one_of({1, 20, 200, 1000}));
  network.buffer = one_of({1, 4, 20, 1000});
  network.max_held_batches = one_of({1, 4, 20, limits::kMaxHeldBatches});
  network.max_held_memory_bytes = one_of({300, 2000, limits::kMaxHeldMemoryBytes});
  network.replay = random() % 4 != 0;
  network.replay_limit_ms = static_cast<int>(one_of({1'500, 120'000}));
  network.fresh_start_ms = static_cast<int>(one_of({1'000, 10'000}));
  // Without a replay, a new life whose first batch heard has the next number is not noticed.
  if (!network.replay) network.restart = 0;
  return network;
}

std::string Describe(const Network& n) {
  return absl::StrCat(
      "drop ", n.drop, ", repeat ", n.repeat, ", damage ", n.damage, ", drop_reply ", n.drop_reply,
      ", drop_end ", n.drop_end, ", damage_reply ", n.damage_reply, ", cut ", n.cut, ", restart ",
      n.restart, ", late ", n.late, ", early ", n.early, ", burst ", n.burst, ", turn_ms ",
      n.turn_ms, ", buffer ", n.buffer, ", replay ", n.replay, ", max_held_batches ",
      n.max_held_batches, ", max_held_memory_bytes ", n.max_held_memory_bytes, ", replay_limit_ms ",
      n.replay_limit_ms, ", fresh_start_ms ", n.fresh_start_ms);
}

MachineModel::MachineModel(const Network& network, uint64_t seed)
    : network_(network),
      damages_(network.damage + network.damage_reply > 0),
      random_(seed),
      engine_(seed) {
  status_.config.worker_id = "model";
  if (network.replay) status_.config.replay_endpoint = "tcp://model:1";
  status_.id = *index_.Open(CopyMode::kCounted);
  options_.replay_timeout = milliseconds(500);
  options_.replay_limit = milliseconds(network.replay_limit_ms);
  options_.fresh_start_after = milliseconds(network.fresh_start_ms);
  options_.max_held_batches = network.max_held_batches;
  options_.max_held_memory_bytes = network.max_held_memory_bytes;
  machine_.emplace(&status_, options_, &decoder_, &index_, &counters_, &clock_);
}

void MachineModel::Run(int steps) {
  for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
    if (Chance(network_.cut)) connection_ % 2 == 1 ? Break() : Connect();
    if (Chance(network_.restart)) RestartEngine();
    if (Chance(60)) {
      for (uint64_t n = 1 + random_() % network_.burst; n > 0; --n) Publish();
    }
    Turn();
  }
}

void MachineModel::Calm() {
  network_ = Network{.burst = network_.burst,
                     .buffer = network_.buffer,
                     .replay = network_.replay,
                     .max_held_batches = network_.max_held_batches,
                     .max_held_memory_bytes = network_.max_held_memory_bytes,
                     .replay_limit_ms = network_.replay_limit_ms,
                     .fresh_start_ms = network_.fresh_start_ms};
  Connect();
  for (int i = 0; i < 6000 && !testing::Test::HasFailure(); ++i) Turn();
}

void MachineModel::Publish(bool clear) {
  const uint64_t seq = engine_.next_seq();
  buffer_.emplace_back(seq, clear ? engine_.Clear() : engine_.Step());
  if (buffer_.size() > network_.buffer) buffer_.pop_front();
  const std::string& payload = buffer_.back().second;
  if (connection_ % 2 == 0 || Chance(network_.drop)) return;
  wire_.push_back({connection_, seq, Chance(network_.damage) ? Damaged(payload) : payload});
  if (Chance(network_.repeat)) wire_.push_back(wire_.back());
}

// What is damaged so that it still decodes cannot be noticed by anybody.
std::string MachineModel::Damaged(std::string payload) const {
  payload.resize(payload.size() / 2);
  return payload;
}

void MachineModel::Break() {
  if (connection_ % 2 == 0) return;
  ++connection_;
  wire_.resize(Chance(network_.late) ? random_() % (wire_.size() + 1) : 0);
}

void MachineModel::Connect() {
  if (connection_ % 2 == 0) ++connection_;
}

void MachineModel::RestartEngine() {
  Break();
  engine_.Restart();
  buffer_.clear();
  for (uint64_t i = random_() % 4; i > 0; --i) Publish();
}

// The news of a connection comes when all that the one before brought has been read, and perhaps
// later.
void MachineModel::FollowConnection() {
  while (known_connection_ != connection_) {
    if (known_connection_ % 2 == 1) {
      if (network_.replay) known_ = false;  // the publisher must prove that it is the same
      Judge(Call::kOther, std::nullopt, [this] { machine_->OnDisconnected(); });
    } else {
      const bool last = known_connection_ + 1 == connection_;
      if (last && Chance(network_.early)) return;
      if (!wire_.empty() && wire_.front().connection <= known_connection_) return;
      if (network_.replay) kept_.clear();
      Judge(Call::kOther, std::nullopt, [this] { machine_->OnConnected(); });
    }
    ++known_connection_;
  }
}

// What a lane does with a stream: the connection, live batches, replies, held batches, time.
void MachineModel::Turn() {
  FollowConnection();
  for (uint64_t n = random_() % (network_.burst + 1); n > 0 && !wire_.empty(); --n) Deliver();
  const uint64_t share = std::max<uint64_t>(5, network_.burst);
  for (uint64_t n = random_() % (share + 1); n > 0; --n) {
    Reply();
    FollowMachine();
  }
  Judge(Call::kDrain, std::nullopt, [&] { machine_->Drain(1 + random_() % share); });
  FollowMachine();
  clock_.Advance(milliseconds(1 + random_() % static_cast<uint64_t>(network_.turn_ms)));
  if (clock_.Monotonic() >= next_tick_) {
    next_tick_ = clock_.Monotonic() + milliseconds(100);
    Judge(Call::kOther, std::nullopt, [this] { machine_->OnTick(); });
    FollowMachine();
  }
  Check();
}

void MachineModel::DeliverAll() {
  while (!wire_.empty()) Deliver();
  Turn();
}

void MachineModel::Deliver() {
  const Message message = std::move(wire_.front());
  wire_.pop_front();
  ++delivered_;
  Judge(Call::kLive, message.seq, [&] { machine_->OnLiveBatch(message.seq, message.payload); });
}

void MachineModel::FollowMachine() {
  if (const auto from = machine_->TakeReplayRequest()) {
    asked_ = from;
    answering_ = false;
    replies_.clear();
  }
  if (machine_->WantsReplay()) return;
  asked_.reset();
  answering_ = false;
}

// The engine answers with what it has when the request reaches it.
void MachineModel::Reply() {
  if (asked_ && connection_ % 2 == 1 && Chance(70)) {
    for (const auto& [seq, payload] : buffer_) {
      if (seq >= *asked_) replies_.emplace_back(seq, payload);
    }
    asked_.reset();
    answering_ = true;
  }
  if (!answering_) return;
  if (replies_.empty()) {
    answering_ = false;
    if (Chance(network_.drop_end)) return;
    return Judge(Call::kOther, std::nullopt, [this] { machine_->OnReplayEnd(); });
  }
  const auto [seq, payload] = std::move(replies_.front());
  replies_.pop_front();
  if (Chance(network_.drop_reply)) return;
  const std::string bytes = Chance(network_.damage_reply) ? Damaged(payload) : payload;
  Judge(Call::kReply, seq, [&, seq = seq] { machine_->OnReplayedBatch(seq, bytes); });
}

// ---- what a call did ----

uint64_t MachineModel::Bad() const {
  uint64_t bad = 0;
  for (const auto& count : status_.rejected_batches) bad += count.load();
  for (const auto& count : status_.skipped_events) bad += count.load();
  return bad;
}

// A call other than a drain applies its own batch or none; a drain applies first and skips then.
void MachineModel::Judge(Call call, std::optional<uint64_t> seq, const std::function<void()>& run) {
  const uint64_t next_before = status_.next_seq.load();
  const uint64_t batches_before = status_.batches.load();
  const uint64_t restarts_before = status_.restarts.load();
  const uint64_t duplicates_before = status_.duplicates.load();
  const uint64_t held_before = status_.held_batches.load();
  const uint64_t bad_before = Bad();
  run();
  const uint64_t applied = status_.batches.load() - batches_before;
  const uint64_t next = status_.next_seq.load();
  const bool restarted = status_.restarts.load() != restarts_before;
  uint64_t at = next_before;
  if (restarted || next < next_before + applied) {  // forgotten, or everything is asked for anew
    kept_.clear();
    known_ = false;
    at = 0;
  }
  EXPECT_TRUE(call == Call::kDrain || applied <= 1);
  bool skipped = false;  // the number before
  for (uint64_t left = applied; at <= next; ++at) {
    const bool is_applied =
        at < next && (call == Call::kDrain ? left > 0 : applied == 1 && at == *seq);
    // A skip ends behind something that is missing.
    if (is_applied || at == next) {
      EXPECT_FALSE(skipped && kept_.contains(at - 1)) << "batch " << at - 1 << " had come";
    }
    skipped = !is_applied;
    if (at == next) break;
    if (is_applied) {
      --left;
      Applied(at);
    } else {
      Skipped();
    }
  }
  kept_.erase(kept_.begin(), kept_.lower_bound(next));
  if (Bad() != bad_before) known_ = false;
  if (status_.held_batches.load() < held_before && call == Call::kOther) kept_.clear();
  if (call == Call::kLive) {
    JudgeLive(*seq, applied == 1, restarted, held_before, duplicates_before);
  }
  EXPECT_LE(status_.held_batches.load(), network_.max_held_batches);
  if (known_) {
    EXPECT_NE(status_.trust.load(), Trust::kDegraded)
        << TrustReasonName(status_.reason.load()) << " at batch " << next
        << " though nothing was lost since a known point";
  }
}

void MachineModel::JudgeLive(uint64_t seq, bool applied, bool restarted, uint64_t held_before,
                             uint64_t duplicates_before) {
  if (applied || status_.duplicates.load() != duplicates_before) return;
  const uint64_t held = status_.held_batches.load();
  if (restarted ? held > 0 : held > held_before) {
    kept_.emplace(seq, known_connection_);
    return;
  }
  // Two copies of a number, one of them damaged, look like two publishers.
  const bool conflict = status_.reason.load() == TrustReason::kIdentityConflict ||
                        !status_.connected.load();  // which hides that
  if (conflict && damages_) return;
  const bool no_room = held_before >= network_.max_held_batches ||
                       network_.max_held_memory_bytes < limits::kMaxHeldMemoryBytes;
  EXPECT_TRUE(no_room && network_.replay) << "live batch " << seq << " vanished";
}

void MachineModel::Applied(uint64_t seq) {
  if (seq == 0 && !network_.replay) known_ = true;
  const bool of_this_life = known_connection_ == connection_ && seq < engine_.next_seq();
  if (of_this_life && engine_.ClearedBy(seq)) known_ = true;
}

void MachineModel::Skipped() {
  known_ = false;
  ++lost_;
}

void MachineModel::CheckDoubt() {
  if (known_connection_ != connection_ || status_.trust.load() != Trust::kDegraded) return;
  const uint64_t next = status_.next_seq.load();
  if (next > engine_.next_seq() || random_() % 8 != 0) return;
  ++doubt_checks_;
  uint64_t wrong = 0;
  uint64_t held = 0;
  for (uint32_t node = 0; node < engine_.nodes(); ++node) {
    if (!index_.Holds(status_.id, engine_.EngineHashOf(node))) continue;
    ++held;
    if (!engine_.HoldsAt(next, node)) ++wrong;
  }
  EXPECT_EQ(held, status_.holdings.load());
  EXPECT_LE(wrong, status_.unconfirmed_holdings.load()) << "of " << held << ", at batch " << next;
}

void MachineModel::Check() {
  CheckDoubt();
  if (known_connection_ != connection_ || status_.trust.load() != Trust::kExact) return;
  ++exact_checks_;
  const uint64_t next = status_.next_seq.load();
  ASSERT_LE(next, engine_.next_seq());
  for (int i = 0; i < 3 && engine_.nodes() > 0; ++i) {
    const auto node = static_cast<uint32_t>(random_() % engine_.nodes());
    MatchResult result;
    index_.Match(engine_.PromptOf(node), &result);
    const uint32_t blocks = result.matches.empty() ? 0 : result.matches[0].blocks;
    ASSERT_EQ(blocks, engine_.HeldAt(next, node)) << "at batch " << next << ", node " << node;
  }
}

}  // namespace kvroute
