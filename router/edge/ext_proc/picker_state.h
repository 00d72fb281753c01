#ifndef KVROUTE_ROUTER_EDGE_EXT_PROC_PICKER_STATE_H_
#define KVROUTE_ROUTER_EDGE_EXT_PROC_PICKER_STATE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

// What a PickerStream does about whatever happens: two tables, one for the request and one for its
// response. docs/life-of-a-query.md prints both.
namespace kvroute {

// A set of an enum's values, of which there are at most 32.
template <typename Enum>
class EnumSet {
 public:
  constexpr EnumSet() = default;
  constexpr EnumSet(std::initializer_list<Enum> values) {
    for (const Enum value : values) Add(value);
  }
  constexpr void Add(Enum value) { bits_ |= 1u << static_cast<uint32_t>(value); }
  constexpr bool Contains(Enum value) const {
    return (bits_ & (1u << static_cast<uint32_t>(value))) != 0;
  }
  bool operator==(const EnumSet&) const = default;

 private:
  uint32_t bits_ = 0;
};

// How far a request is.
enum class PickerState : uint8_t {
  kNew,              // nothing came yet
  kHolding,          // full duplex: the headers' answer waits for the body's end
  kHoldingStreamed,  // streamed without waiting: the same, and each piece is owed an answer
  kBuffering,        // buffered: the headers are answered, the body is awaited
  kPicking,          // the body is whole; where it goes is being found out
  kPickingTrailers,  // the same, and the trailers wait for their answer
  kPassing,          // the pick is told; what else comes of the body is passed through
  kBodyDone,         // the pick is told; only trailers may come
  kSent,             // all of the request is answered
  kWatching,         // observability mode: nothing is answered
  kRefused,          // the client was answered in the engine's place
  kClosed,
};
inline constexpr size_t kPickerStateCount = static_cast<size_t>(PickerState::kClosed) + 1;
std::string_view PickerStateName(PickerState state);  // as the docs print it

// What can happen to it.
enum class PickerInput : uint8_t {
  kObserved,  // the first message says that nothing is to be answered
  // Request headers with a body to come, by how that will be shown.
  kHeadersDuplex,
  kHeadersStreamed,  // STREAMED without waiting for the headers' answer
  kHeadersBuffered,  // BUFFERED, BUFFERED_PARTIAL
  kHeadersBlind,     // not at all, or not before the headers are answered
  kHeadersOnly,      // no body will come
  kPiece,
  kLastPiece,
  kWholeBody,  // the one body message of BUFFERED and BUFFERED_PARTIAL
  kTooMuch,    // a piece or a body beyond what may be kept
  kTrailers,
  kPicked,  // it is known where the request goes
  kNobody,  // it can go nowhere
  kTimeUp,
  kGone,  // the proxy has ended the stream, or is gone
};
inline constexpr size_t kPickerInputCount = static_cast<size_t>(PickerInput::kGone) + 1;
std::string_view PickerInputName(PickerInput input);

// What is done about it; said beside each name in picker_state_text.cc.
enum class PickerReaction : uint8_t {
  kNever,  // cannot happen: a CHECK
  kIgnore,
  kWatch,
  kHold,
  kAnswerHeaders,
  kPickBlind,
  kCollect,
  kPick,
  kPickByLoad,
  kTell,
  kRefuse,
  kPass,
  kPassWithoutPick,
  kAnswerTrailers,
  kOweTrailers,
  kEnd,
};
inline constexpr size_t kPickerReactionCount = static_cast<size_t>(PickerReaction::kEnd) + 1;
std::string_view PickerReactionName(PickerReaction reaction);

// One cell of a table: the reaction, and the states it may lead to. Where it names none, the state
// stays.
struct PickerCell {
  PickerReaction reaction = PickerReaction::kNever;
  EnumSet<PickerState> leads_to;
};
using PickerTable = std::array<std::array<PickerCell, kPickerInputCount>, kPickerStateCount>;
extern const PickerTable kPickerTable;
inline const PickerCell& CellOf(PickerState state, PickerInput input) {
  return kPickerTable[static_cast<size_t>(state)][static_cast<size_t>(input)];
}

// How far the response is.
enum class ResponseState : uint8_t {
  kAwaited,
  kBegun,    // its headers came
  kFlowing,  // its first byte came: the prompt is computed
  kOver,     // its end came
};
inline constexpr size_t kResponseStateCount = static_cast<size_t>(ResponseState::kOver) + 1;
std::string_view ResponseStateName(ResponseState state);

enum class ResponseInput : uint8_t {
  kHeaders,
  kHeadersBlind,  // and the body will not be shown
  kHeadersOnly,   // there is no body
  kEmptyPiece,
  kPiece,
  kLastPiece,
  kTrailers,
};
inline constexpr size_t kResponseInputCount = static_cast<size_t>(ResponseInput::kTrailers) + 1;
std::string_view ResponseInputName(ResponseInput input);

// Each message is answered in its own kind; this is what becomes of the lease.
enum class LeaseStep : uint8_t {
  kNone,
  kPrefilled,
  kEnded,
  kUnanswered,  // none, and the message is not answered: the response was over
};
std::string_view LeaseStepName(LeaseStep step);

struct ResponseCell {
  LeaseStep step = LeaseStep::kNone;
  ResponseState leads_to = ResponseState::kAwaited;
};
using ResponseTable =
    std::array<std::array<ResponseCell, kResponseInputCount>, kResponseStateCount>;
extern const ResponseTable kResponseTable;
inline const ResponseCell& CellOf(ResponseState state, ResponseInput input) {
  return kResponseTable[static_cast<size_t>(state)][static_cast<size_t>(input)];
}

// Both tables, and what their words mean, in Markdown.
std::string PickerTableMarkdown();
std::string ResponseTableMarkdown();

// For tests: which cells were visited, and where each led.
struct PickerVisits {
  std::array<std::array<uint64_t, kPickerInputCount>, kPickerStateCount> visits{};
  std::array<std::array<EnumSet<PickerState>, kPickerInputCount>, kPickerStateCount> led_to{};
  std::array<std::array<uint64_t, kResponseInputCount>, kResponseStateCount> response_visits{};
};

}  // namespace kvroute

#endif  // KVROUTE_ROUTER_EDGE_EXT_PROC_PICKER_STATE_H_
