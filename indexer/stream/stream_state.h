#ifndef KVROUTE_INDEXER_STREAM_STREAM_STATE_H_
#define KVROUTE_INDEXER_STREAM_STREAM_STATE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace kvroute {

// What a StreamMachine is doing. The first seven are those of a stream whose engine can be asked to
// replay, the next two those of a stream that has no replay endpoint.
enum class StreamState : uint8_t {
  kDisconnected,          // batches that still come are held
  kVerifying,             // connected anew; whether to the engine of before is being asked
  kCatchingUp,            // batches are missing, or may be: the engine is being asked for them
  kSplicing,              // the replay has ended; what was held behind it is being applied
  kFollowing,             // batches are applied as they come
  kProbing,               // the same, and the engine is being asked whether the last was lost
  kStartingAfresh,        // the same, and the engine is being asked for everything again
  kLiveOnlyDisconnected,  // batches that still come are applied
  kLiveOnly,              // batches are applied as they come; what is missing is lost
  kConflictDisconnected,
  kConflict,  // two publishers use the stream's identity: nothing is applied
};
inline constexpr size_t kStreamStateCount = static_cast<size_t>(StreamState::kConflict) + 1;
std::string_view StreamStateName(StreamState state);  // as the docs print it

// What can happen to it.
enum class StreamInput : uint8_t {
  kConnectionMade,
  kConnectionLost,
  // Live batches, by their number.
  kLiveNext,      // the number expected
  kLiveDamaged,   // the same, but it does not decode: worth one more copy while the state is exact
  kLiveAhead,     // numbers before it are missing
  kLiveRepeated,  // applied or held before
  kLiveRestart,   // of a new life of the engine
  // Replies to the running request. The first is judged twice: by where the replay begins, then as
  // a batch.
  kFirstReply,  // the replay begins where it was asked to, or nothing is missed by its beginning
  kFirstReplyLate,  // it begins behind that
  kReplyNext,
  kReplyAhead,
  kReplyConfirms,  // the last batch applied, again
  kReplyRepeated,  // one applied before that, again
  kReplyRestart,   // another batch than the one applied by that number
  kReplayEnd,
  kReplayEndUnknown,  // nothing came, not even the last batch applied
  kReplyStray,        // a reply or an end to a request that is over
  // What is held.
  kHeldNext,     // the first of them is the number expected
  kHeldSuspect,  // the same, but it did not decode
  kCaughtUp,     // nothing is missing up to the live stream
  kHoleLeft,     // something is missing, and the replay has ended or there is none
  // Time.
  kQuiet,  // no restart within this connection and no jump of numbers for a while
  kNoReplyInTime,
  kReplayTooLong,
  kFreshStartDue,
  kProbeDue,
};
inline constexpr size_t kStreamInputCount = static_cast<size_t>(StreamInput::kProbeDue) + 1;
std::string_view StreamInputName(StreamInput input);

// What the machine does about it. What each of them means is said beside its name, in
// stream_state_text.cc.
enum class StreamReaction : uint8_t {
  kNever,  // cannot happen: a CHECK
  kIgnore,
  kVerify,
  kConnectLiveOnly,
  kStandBy,
  kDisconnect,
  kApplyLive,
  kHold,
  kHoldGap,
  kAskForGap,
  kSkipGap,
  kHoldSuspect,
  kAskForCopy,
  kCountRepeat,
  kForget,
  kObserve,
  kUse,
  kSkipOrAskAgain,
  kReplace,
  kKeepOrAskAgain,
  kApplyReply,
  kHoldReply,
  kConfirm,
  kForgetAndAsk,
  kSplice,
  kAskAgainOrDoWithout,
  kKeep,
  kApplyHeld,
  kWait,
  kFinish,
  kAskForHole,
  kAskAgainOrGiveUp,
  kGiveUp,
  kLiftSyncing,
  kLeaveConflict,
  kAskAfresh,
  kProbe,
};
inline constexpr size_t kStreamReactionCount = static_cast<size_t>(StreamReaction::kProbe) + 1;
std::string_view StreamReactionName(StreamReaction reaction);

// A set of states.
class StateSet {
 public:
  constexpr StateSet() = default;
  constexpr StateSet(std::initializer_list<StreamState> states) {
    for (const StreamState state : states) Add(state);
  }
  constexpr void Add(StreamState state) { bits_ |= Bit(state); }
  constexpr bool Contains(StreamState state) const { return (bits_ & Bit(state)) != 0; }
  bool operator==(const StateSet&) const = default;

 private:
  static constexpr uint32_t Bit(StreamState state) { return 1u << static_cast<uint32_t>(state); }
  uint32_t bits_ = 0;
};

// One cell of the table: the reaction, and the other states it may lead to. Where it names none,
// the state stays.
struct StateCell {
  StreamReaction reaction = StreamReaction::kNever;
  StateSet leads_to;
};

// The table that the machine follows: every reaction is looked up here, and a change of state that
// its cell does not name is a CHECK.
using StateTable = std::array<std::array<StateCell, kStreamInputCount>, kStreamStateCount>;
extern const StateTable kStateTable;
inline const StateCell& CellOf(StreamState state, StreamInput input) {
  return kStateTable[static_cast<size_t>(state)][static_cast<size_t>(input)];
}
// The table, and what its words mean, in Markdown, as docs/life-of-an-event.md shows it.
std::string StateTableMarkdown();

// For tests: which cells were visited, and where each led.
struct VisitedCells {
  std::array<std::array<uint64_t, kStreamInputCount>, kStreamStateCount> visits{};
  std::array<std::array<StateSet, kStreamInputCount>, kStreamStateCount> led_to{};
};

// Whether the connection stands.
constexpr bool IsConnected(StreamState state) {
  return state != StreamState::kDisconnected && state != StreamState::kLiveOnlyDisconnected &&
         state != StreamState::kConflictDisconnected;
}
constexpr bool IsConflict(StreamState state) {
  return state == StreamState::kConflict || state == StreamState::kConflictDisconnected;
}

}  // namespace kvroute

#endif  // KVROUTE_INDEXER_STREAM_STREAM_STATE_H_
