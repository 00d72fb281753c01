#include "router/edge/ext_proc/picker_state.h"

namespace kvroute {
namespace {

// The same reaction in several states.
struct PickerRule {
  PickerInput input;
  EnumSet<PickerState> in;
  PickerReaction reaction;
  EnumSet<PickerState> leads_to = {};
};

constexpr EnumSet<PickerState> kAnyPickerState = {
    PickerState::kNew,       PickerState::kHolding,  PickerState::kHoldingStreamed,
    PickerState::kBuffering, PickerState::kPicking,  PickerState::kPickingTrailers,
    PickerState::kPassing,   PickerState::kBodyDone, PickerState::kSent,
    PickerState::kWatching,  PickerState::kRefused,  PickerState::kClosed};

// Of two rules for a cell, the later holds only where the earlier says nothing. What comes where
// nothing is expected is ignored: a proxy that is answered what it did not ask gives the stream up.
constexpr auto PickerRules() {
  using enum PickerState;
  using enum PickerInput;
  using enum PickerReaction;
  constexpr EnumSet<PickerState> kHolds = {kHolding, kHoldingStreamed};
  constexpr EnumSet<PickerState> kPicks = {kPicking, kPickingTrailers};
  // The modes of a stream do not change, so in each of them only some states occur.
  constexpr EnumSet<PickerState> kDuplex = {kHolding, kPicking,  kPickingTrailers, kPassing,
                                            kSent,    kWatching, kRefused};
  constexpr EnumSet<PickerState> kStreamed = {
      kHoldingStreamed, kPicking, kPickingTrailers, kPassing, kSent, kWatching, kRefused};
  constexpr EnumSet<PickerState> kBuffered = {kBuffering, kPicking,  kPickingTrailers, kBodyDone,
                                              kSent,      kWatching, kRefused};
  constexpr EnumSet<PickerState> kBlind = {kPassing, kBodyDone, kSent, kWatching, kRefused};
  constexpr EnumSet<PickerState> kInPieces = {kPicking, kPickingTrailers, kBodyDone,
                                              kSent,    kWatching,        kRefused};
  return std::to_array<PickerRule>({
      {kObserved, {kNew}, kWatch, {kWatching}},
      {kObserved, kAnyPickerState, kIgnore},
      {kHeadersDuplex, {kNew}, kHold, {kHolding}},
      {kHeadersDuplex, kDuplex, kIgnore},
      {kHeadersStreamed, {kNew}, kHold, {kHoldingStreamed}},
      {kHeadersStreamed, kStreamed, kIgnore},
      {kHeadersBuffered, {kNew}, kAnswerHeaders, {kBuffering}},
      {kHeadersBuffered, kBuffered, kIgnore},
      {kHeadersBlind, {kNew}, kPickBlind, {kPicking}},
      {kHeadersBlind, kBlind, kIgnore},
      {kHeadersOnly, {kNew}, kPickBlind, {kPicking}},
      {kHeadersOnly, kAnyPickerState, kIgnore},

      {kPiece, {kNew}, kPassWithoutPick, {kPassing}},
      {kPiece, kHolds, kCollect},
      {kPiece, {kPassing}, kPass},
      {kPiece, kInPieces, kIgnore},
      {kLastPiece, {kNew}, kPassWithoutPick, {kSent}},
      {kLastPiece, kHolds, kPick, {kPicking}},
      {kLastPiece, {kPassing}, kPass, {kSent}},
      {kLastPiece, kInPieces, kIgnore},
      {kWholeBody, {kNew, kBuffering}, kPick, {kPicking}},
      {kWholeBody, kBuffered, kIgnore},
      {kTooMuch, {kNew, kBuffering}, kPickByLoad, {kPicking}},
      {kTooMuch, kHolds, kPickByLoad, {kPicking}},

      {kTrailers, {kNew, kBuffering}, kAnswerTrailers, {kSent}},
      {kTrailers, kHolds, kPick, {kPickingTrailers}},
      {kTrailers, {kPicking}, kOweTrailers, {kPickingTrailers}},
      {kTrailers, {kPassing, kBodyDone}, kAnswerTrailers, {kSent}},
      {kTrailers, kAnyPickerState, kIgnore},

      {kPicked, {kPicking}, kTell, {kPassing, kBodyDone, kSent}},
      {kPicked, {kPickingTrailers}, kTell, {kSent}},
      {kNobody, kPicks, kRefuse, {kRefused}},
      {kTimeUp, kHolds, kPickByLoad, {kPicking}},
      {kTimeUp, kPicks, kPickByLoad},
      {kGone, kAnyPickerState, kEnd, {kClosed}},
  });
}

constexpr PickerTable MakePickerTable() {
  PickerTable table;
  for (const PickerRule& rule : PickerRules()) {
    for (size_t state = 0; state < kPickerStateCount; ++state) {
      PickerCell& cell = table[state][static_cast<size_t>(rule.input)];
      if (!rule.in.Contains(static_cast<PickerState>(state))) continue;
      // Once closed, nothing comes.
      if (static_cast<PickerState>(state) == PickerState::kClosed) continue;
      if (cell.reaction == PickerReaction::kNever) cell = {rule.reaction, rule.leads_to};
    }
  }
  return table;
}

constexpr ResponseTable MakeResponseTable() {
  using enum ResponseState;
  using enum ResponseInput;
  using enum LeaseStep;
  ResponseTable table;
  const auto set = [&table](ResponseState state, ResponseInput input, LeaseStep step,
                            ResponseState to) {
    table[static_cast<size_t>(state)][static_cast<size_t>(input)] = {step, to};
  };
  // A second response takes the place of an interim one (100, 103), which ends nothing.
  for (const ResponseState state : {kAwaited, kBegun}) {
    set(state, kHeaders, kNone, kBegun);
    set(state, kHeadersBlind, kPrefilled, kFlowing);
    set(state, kEmptyPiece, kNone, kBegun);
    set(state, kPiece, kPrefilled, kFlowing);
  }
  set(kFlowing, kHeaders, kNone, kFlowing);
  set(kFlowing, kHeadersBlind, kNone, kFlowing);
  set(kFlowing, kEmptyPiece, kNone, kFlowing);
  set(kFlowing, kPiece, kNone, kFlowing);
  for (const ResponseState state : {kAwaited, kBegun, kFlowing}) {
    for (const ResponseInput input : {kHeadersOnly, kLastPiece, ResponseInput::kTrailers}) {
      set(state, input, kEnded, kOver);
    }
  }
  for (size_t input = 0; input < kResponseInputCount; ++input) {
    set(kOver, static_cast<ResponseInput>(input), kUnanswered, kOver);
  }
  return table;
}

}  // namespace

constexpr PickerTable kPickerTable = MakePickerTable();
constexpr ResponseTable kResponseTable = MakeResponseTable();

}  // namespace kvroute
