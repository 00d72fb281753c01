#include "indexer/stream/stream_state.h"

namespace kvroute {

namespace {

// The same reaction in several states.
struct StateRule {
  StreamInput input;
  StateSet in;
  StreamReaction reaction;
  StateSet leads_to = {};
};

constexpr StateSet kAnyState = {StreamState::kDisconnected,
                                StreamState::kVerifying,
                                StreamState::kCatchingUp,
                                StreamState::kSplicing,
                                StreamState::kFollowing,
                                StreamState::kProbing,
                                StreamState::kStartingAfresh,
                                StreamState::kLiveOnly,
                                StreamState::kLiveOnlyDisconnected,
                                StreamState::kConflictDisconnected,
                                StreamState::kConflict};

// Of two rules for a cell, the later holds only where the earlier says nothing.
constexpr auto Rules() {
  using enum StreamState;
  using enum StreamInput;
  using enum StreamReaction;
  constexpr StateSet kAskedAndFollowing = {kProbing, kStartingAfresh};
  constexpr StateSet kLiveOnlyStates = {kLiveOnly, kLiveOnlyDisconnected};
  constexpr StateSet kConflicts = {kConflict, kConflictDisconnected};
  return std::to_array<StateRule>({
      {kConnectionMade, {kDisconnected}, kVerify, {kVerifying, kCatchingUp}},
      {kConnectionMade, {kLiveOnlyDisconnected}, kConnectLiveOnly, {kLiveOnly}},
      {kConnectionMade, {kConflictDisconnected}, kStandBy, {kConflict}},
      {kConnectionLost, {kDisconnected, kLiveOnlyDisconnected, kConflictDisconnected}, kDisconnect},
      {kConnectionLost, {kLiveOnly}, kDisconnect, {kLiveOnlyDisconnected}},
      {kConnectionLost, {kConflict}, kDisconnect, {kConflictDisconnected}},
      {kConnectionLost, kAnyState, kDisconnect, {kDisconnected}},

      {kLiveNext, kConflicts, kObserve},
      {kLiveNext, {kDisconnected, kVerifying}, kHold},
      {kLiveNext, kAnyState, kApplyLive},
      {kLiveDamaged, {kCatchingUp, kSplicing}, kHoldSuspect},
      {kLiveDamaged, {kFollowing}, kAskForCopy, {kCatchingUp}},
      {kLiveDamaged, kAskedAndFollowing, kAskForCopy, {kCatchingUp}},
      {kLiveAhead, kConflicts, kObserve},
      {kLiveAhead, kLiveOnlyStates, kSkipGap},
      {kLiveAhead, {kDisconnected}, kHoldGap},
      {kLiveAhead, {kVerifying, kCatchingUp, kSplicing}, kHold},
      {kLiveAhead, {kFollowing}, kAskForGap, {kCatchingUp}},
      {kLiveAhead, kAskedAndFollowing, kAskForGap, {kCatchingUp}},
      {kLiveRepeated, kConflicts, kObserve},
      {kLiveRepeated, kAnyState, kCountRepeat},
      {kLiveRestart, kConflicts, kObserve},
      {kLiveRestart, {kDisconnected, kLiveOnlyDisconnected}, kForget, {kConflictDisconnected}},
      {kLiveRestart, {kLiveOnly}, kForget, {kConflict}},
      {kLiveRestart, {kFollowing}, kForget, {kConflict}},
      {kLiveRestart, kAnyState, kForget, {kFollowing, kConflict}},

      {kFirstReply, {kVerifying, kCatchingUp, kProbing}, kUse},
      {kFirstReply, {kStartingAfresh}, kReplace, {kCatchingUp}},
      {kFirstReplyLate, {kVerifying}, kSkipOrAskAgain, {kCatchingUp}},
      {kFirstReplyLate, {kCatchingUp, kProbing}, kSkipOrAskAgain},
      {kFirstReplyLate, {kStartingAfresh}, kKeepOrAskAgain, {kFollowing}},
      {kReplyNext, {kVerifying}, kHoldReply},
      {kReplyNext, {kCatchingUp, kProbing}, kApplyReply},
      {kReplyAhead, {kVerifying, kCatchingUp, kProbing}, kHoldReply},
      {kReplyConfirms, {kVerifying}, kConfirm, {kCatchingUp}},
      {kReplyConfirms, {kCatchingUp, kProbing}, kIgnore},
      {kReplyRepeated, {kVerifying, kCatchingUp, kProbing}, kIgnore},
      {kReplyRestart, {kVerifying, kProbing}, kForgetAndAsk, {kCatchingUp, kConflict}},
      {kReplyRestart, {kCatchingUp}, kForgetAndAsk, {kConflict}},
      {kReplayEnd, {kVerifying}, kAskAgainOrGiveUp, {kFollowing}},
      {kReplayEnd, {kCatchingUp, kProbing}, kSplice, {kSplicing}},
      {kReplayEnd, {kStartingAfresh}, kKeep, {kFollowing}},
      {kReplayEndUnknown, {kVerifying}, kForgetAndAsk, {kCatchingUp, kConflict}},
      {kReplayEndUnknown, {kCatchingUp, kProbing}, kAskAgainOrDoWithout, {kFollowing}},
      {kReplayEndUnknown, {kStartingAfresh}, kKeep, {kFollowing}},
      {kReplyStray, {kDisconnected, kSplicing, kFollowing}, kIgnore},
      {kReplyStray, kLiveOnlyStates, kIgnore},
      {kReplyStray, kConflicts, kIgnore},

      {kHeldNext, {kDisconnected, kVerifying}, kWait},
      {kHeldNext, {kCatchingUp, kSplicing, kFollowing}, kApplyHeld},
      {kHeldNext, kAskedAndFollowing, kApplyHeld},
      {kHeldSuspect, {kDisconnected, kVerifying, kCatchingUp}, kWait},
      {kHeldSuspect, {kSplicing, kFollowing, kProbing}, kApplyHeld},
      {kCaughtUp, {kCatchingUp, kSplicing, kProbing}, kFinish, {kFollowing}},
      {kCaughtUp, {kStartingAfresh}, kIgnore},
      {kHoleLeft, {kDisconnected}, kIgnore},
      {kHoleLeft, {kSplicing}, kAskAgainOrGiveUp, {kCatchingUp, kFollowing}},
      {kHoleLeft, {kFollowing}, kAskForHole, {kCatchingUp}},

      {kQuiet, {kVerifying, kCatchingUp, kSplicing, kConflictDisconnected}, kIgnore},
      {kQuiet, {kConflict}, kLeaveConflict, {kCatchingUp, kLiveOnly}},
      {kQuiet, kAnyState, kLiftSyncing},
      {kNoReplyInTime, {kVerifying, kCatchingUp}, kAskAgainOrGiveUp, {kFollowing}},
      {kNoReplyInTime, kAskedAndFollowing, kAskAgainOrGiveUp, {kFollowing}},
      {kNoReplyInTime, {kSplicing}, kIgnore},
      {kReplayTooLong, {kVerifying, kCatchingUp}, kGiveUp, {kFollowing}},
      {kReplayTooLong, kAskedAndFollowing, kGiveUp, {kFollowing}},
      {kReplayTooLong, {kSplicing}, kIgnore},
      {kFreshStartDue, {kDisconnected}, kIgnore},
      {kFreshStartDue, {kFollowing}, kAskAfresh, {kStartingAfresh}},
      {kProbeDue, {kDisconnected}, kIgnore},
      {kProbeDue, {kFollowing}, kProbe, {kProbing}},
  });
}

constexpr StateTable MakeStateTable() {
  StateTable table;
  for (const StateRule& rule : Rules()) {
    for (size_t state = 0; state < kStreamStateCount; ++state) {
      StateCell& cell = table[state][static_cast<size_t>(rule.input)];
      if (!rule.in.Contains(static_cast<StreamState>(state))) continue;
      if (cell.reaction == StreamReaction::kNever) cell = {rule.reaction, rule.leads_to};
    }
  }
  return table;
}

}  // namespace

constexpr StateTable kStateTable = MakeStateTable();

}  // namespace kvroute
