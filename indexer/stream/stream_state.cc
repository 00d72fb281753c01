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

struct ReactionText {
  std::string_view name;
  std::string_view meaning;
};

constexpr std::array<ReactionText, kStreamReactionCount> kReactionTexts = {{
    {"–", "cannot happen: a CHECK"},
    {"ignore", "nothing is to be done"},
    {"verify",
     "ask from the last batch applied, by which the engine is known; where there is none, from the "
     "number expected, and drop what is held"},
    {"connect",
     "the state stays `stale` until the numbers go on; a stream never heard is degraded"},
    {"stand by", "wait until one of the publishers stops"},
    {"disconnect", "the state is `stale`; a running request is over"},
    {"apply live", "decode and apply"},
    {"hold", "keep for later, within the bounds"},
    {"hold behind gap", "count the gap; keep for later"},
    {"ask for gap", "count the gap; keep for later; ask for what is missing"},
    {"skip gap", "count the gap; forget the state; apply"},
    {"hold suspect", "keep for later, unless the replay brings a better copy"},
    {"ask for copy", "the same, and ask for it"},
    {"count", "count a duplicate"},
    {"forget", "the engine restarted: forget all of it; then the batch is judged anew"},
    {"observe", "see whether the numbers rise one by one"},
    {"use", "the reply is used"},
    {"skip or ask again",
     "ask once more for the beginning; where it begins no earlier, forget the state and go on from "
     "the reply, or from what is held right before it"},
    {"replace", "the engine has everything: forget the state and take it from 0"},
    {"keep or ask again", "ask once more for the beginning; where it begins no earlier, as *keep*"},
    {"apply reply", "decode and apply"},
    {"hold reply", "keep for later, within the bounds"},
    {"confirm", "the engine is the one of before"},
    {"forget and ask", "the engine restarted: forget all of it and ask from 0"},
    {"splice", "apply what is held, without waiting for better copies"},
    {"ask again or do without",
     "ask once more; in the end go on from what is held, and never probe again: the engine's "
     "buffer "
     "keeps less than one batch"},
    {"keep", "the engine no longer has its first batch: keep the state, never start afresh again"},
    {"apply held", "decode and apply"},
    {"wait", "its turn comes later"},
    {"finish", "the stream is up to date, and exact unless something was lost"},
    {"ask for hole", "ask for what is missing"},
    {"ask again or give up",
     "ask for what is still missing; after `replay_attempts`, as *give up*"},
    {"give up",
     "where something is missing, forget the state and go on behind it; where nothing is known to "
     "be missing but the engine did not say so, `stale` until the numbers go on; a fresh start is "
     "tried later"},
    {"lift syncing", "a restart within a connection is believed by now"},
    {"leave conflict", "begin anew: ask from 0, where the engine can be asked"},
    {"ask afresh", "ask from 0, and keep the state until the answer comes"},
    {"probe", "ask from the last batch applied"},
}};

constexpr std::array<std::string_view, kStreamStateCount> kStateNames = {
    "disconnected",    "verifying",
    "catching up",     "splicing",
    "following",       "probing",
    "starting afresh", "live only, disconnected",
    "live only",       "conflict, disconnected",
    "conflict"};

constexpr std::array<std::string_view, kStreamInputCount> kInputNames = {
    "connection made",    "connection lost", "live: next",       "live: damaged",
    "live: ahead",        "live: repeated",  "live: restart",    "first reply",
    "first reply: late",  "reply: next",     "reply: ahead",     "reply: confirms",
    "reply: repeated",    "reply: restart",  "replay's end",     "replay's end: last unknown",
    "stray reply or end", "held: next",      "held: suspect",    "caught up",
    "hole left",          "quiet",           "no reply in time", "replay too long",
    "fresh start due",    "probe due",
};

static_assert(!kReactionTexts.back().name.empty() && !kStateNames.back().empty() &&
              !kInputNames.back().empty());

void AppendText(std::initializer_list<std::string_view> texts, std::string* out) {
  for (const std::string_view text : texts) out->append(text);
}

void AppendCell(const StateCell& cell, std::string* out) {
  AppendText({" ", StreamReactionName(cell.reaction)}, out);
  std::string_view before = " → *";
  for (size_t i = 0; i < kStreamStateCount; ++i) {
    if (!cell.leads_to.Contains(static_cast<StreamState>(i))) continue;
    AppendText({before, kStateNames[i], "*"}, out);
    before = ", *";
  }
  AppendText({" |"}, out);
}

// The columns of the states [first, end).
void AppendColumns(size_t first, size_t end, std::string* out) {
  AppendText({"| |"}, out);
  for (size_t state = first; state < end; ++state) {
    AppendText({" **", kStateNames[state], "** |"}, out);
  }
  AppendText({"\n|---|"}, out);
  for (size_t state = first; state < end; ++state) AppendText({"---|"}, out);
  for (size_t input = 0; input < kStreamInputCount; ++input) {
    AppendText({"\n| ", kInputNames[input], " |"}, out);
    for (size_t state = first; state < end; ++state) AppendCell(kStateTable[state][input], out);
  }
  AppendText({"\n"}, out);
}

}  // namespace

constexpr StateTable kStateTable = MakeStateTable();

std::string_view StreamStateName(StreamState state) {
  return kStateNames[static_cast<size_t>(state)];
}
std::string_view StreamInputName(StreamInput input) {
  return kInputNames[static_cast<size_t>(input)];
}
std::string_view StreamReactionName(StreamReaction reaction) {
  return kReactionTexts[static_cast<size_t>(reaction)].name;
}

std::string StateTableMarkdown() {
  constexpr auto kFirstLiveOnly = static_cast<size_t>(StreamState::kLiveOnlyDisconnected);
  std::string out = "A stream whose engine can be asked to replay:\n\n";
  AppendColumns(0, kFirstLiveOnly, &out);
  AppendText({"\nA stream without a replay endpoint, and either kind in a conflict:\n\n"}, &out);
  AppendColumns(kFirstLiveOnly, kStreamStateCount, &out);
  AppendText({"\n| reaction | what it means |\n|---|---|\n"}, &out);
  for (const ReactionText& text : kReactionTexts) {
    AppendText({"| ", text.name, " | ", text.meaning, " |\n"}, &out);
  }
  return out;
}

}  // namespace kvroute
