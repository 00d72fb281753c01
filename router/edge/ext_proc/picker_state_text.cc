// How the docs print the tables: names, and what they mean.
#include <array>
#include <string>
#include <string_view>

#include "absl/types/span.h"
#include "router/edge/ext_proc/picker_state.h"

namespace kvroute {
namespace {

struct WordAndMeaning {
  std::string_view name;
  std::string_view meaning;
};

constexpr std::array<WordAndMeaning, kPickerStateCount> kPickerStateWords = {{
    {"new", "nothing came yet"},
    {"holding", "full duplex: the headers' answer waits for the end of the body"},
    {"holding pieces",
     "streamed without waiting: the same, and each piece of the body is owed an answer"},
    {"buffering", "buffered: the headers are answered, and the body is awaited in one message"},
    {"picking", "the body is whole, or is not waited for: where it goes is being found out"},
    {"picking, trailers", "the same, and the trailers came"},
    {"passing", "the pick is told; what else comes of the body is passed through"},
    {"body done", "the pick is told, and of the request only trailers may come"},
    {"sent", "all of the request is answered"},
    {"watching", "observability mode: nothing is answered"},
    {"refused", "the client was answered in the engine's place"},
    {"closed", "the stream has ended"},
}};

constexpr std::array<WordAndMeaning, kPickerInputCount> kPickerInputWords = {{
    {"observed", "the first message, and it says that nothing is to be answered"},
    {"headers, duplex", "headers; the body comes in FULL_DUPLEX_STREAMED, or nobody says how"},
    {"headers, streamed",
     "headers; the body comes in STREAMED, and before the headers are answered"},
    {"headers, buffered", "headers; the body comes in BUFFERED or BUFFERED_PARTIAL"},
    {"headers, blind",
     "headers; the body does not come (NONE), or only once the headers are answered (STREAMED), or "
     "may never end (GRPC)"},
    {"headers only", "headers of a request without a body"},
    {"piece", "of the body"},
    {"last piece", "of the body"},
    {"whole body", "the one message of BUFFERED or BUFFERED_PARTIAL, its end said or not"},
    {"too much",
     "a piece or a body beyond picker.max_body, or beyond what the bodies of all may take"},
    {"trailers", "of the request; they end a body whose last piece did not say so"},
    {"picked", "it is known where the request goes"},
    {"nobody", "it can go nowhere, or is to be refused"},
    {"time up", "the body has not ended in time, or was not read, or its prompt not rendered"},
    {"gone", "the proxy has ended the stream: in order or by a reset"},
}};

constexpr std::array<WordAndMeaning, kPickerReactionCount> kPickerReactionWords = {{
    {"never", "cannot happen"},
    {"ignore",
     "nothing is answered: a proxy gives up a stream that answers what it did not ask. "
     "Counted"},
    {"watch", "nothing is answered on this stream"},
    {"hold", "keep what the headers say; answer nothing yet"},
    {"answer headers", "at once, empty: the body does not come before"},
    {"pick blind", "by load alone, at once"},
    {"collect", "keep the piece"},
    {"pick", "read the body; by its tokens at once, or have its text rendered first"},
    {"pick by load", "stop waiting; by load alone, at once"},
    {"tell", "the pick, then whatever was owed before it: the body's pieces, the trailers"},
    {"refuse", "answer the client in the engine's place, with JSON"},
    {"pass", "answer the piece as its mode wants it: whole, or with nothing"},
    {"pass, no pick", "the same; without headers there is nothing that a pick could be written to"},
    {"answer trailers", "with nothing"},
    {"owe trailers", "they are answered after the pick"},
    {"end", "cancel what is under way; end the lease, or leave it to its time limit"},
}};

constexpr std::array<WordAndMeaning, kResponseStateCount> kResponseStateWords = {{
    {"awaited", "nothing came yet"},
    {"begun", "headers came"},
    {"flowing", "the first byte came: the prompt is computed"},
    {"over", "the end came"},
}};

constexpr std::array<WordAndMeaning, kResponseInputCount> kResponseInputWords = {{
    {"headers", "of a response with a body"},
    {"headers, blind", "of a response whose body the proxy does not show"},
    {"headers only", "of a response without a body"},
    {"empty piece", "of the body, without a byte"},
    {"piece", "of the body"},
    {"last piece", "of the body"},
    {"trailers", "they end the response"},
}};

constexpr std::array<std::string_view, 4> kLeaseStepWords = {"–", "prefilled", "ended", "ignore"};

std::string_view Word(PickerState state) {
  return kPickerStateWords[static_cast<size_t>(state)].name;
}

void Append(std::initializer_list<std::string_view> parts, std::string* out) {
  for (const std::string_view part : parts) out->append(part);
}

void AppendWords(std::string_view heading, absl::Span<const WordAndMeaning> words,
                 std::string* out) {
  Append({"\n| ", heading, " | what it means |\n|---|---|\n"}, out);
  for (const WordAndMeaning& word : words) {
    Append({"| ", word.name, " | ", word.meaning, " |\n"}, out);
  }
}

void AppendHead(absl::Span<const WordAndMeaning> columns, size_t count, std::string* out) {
  Append({"| |"}, out);
  for (size_t i = 0; i < count; ++i) Append({" **", columns[i].name, "** |"}, out);
  Append({"\n|---|"}, out);
  for (size_t i = 0; i < count; ++i) Append({"---|"}, out);
}

void AppendPickerCell(const PickerCell& cell, std::string* out) {
  if (cell.reaction == PickerReaction::kNever) return Append({" |"}, out);
  Append({" ", PickerReactionName(cell.reaction)}, out);
  std::string_view before = " → ";
  for (size_t to = 0; to < kPickerStateCount; ++to) {
    if (!cell.leads_to.Contains(static_cast<PickerState>(to))) continue;
    Append({before, Word(static_cast<PickerState>(to))}, out);
    before = ", ";
  }
  Append({" |"}, out);
}

}  // namespace

std::string_view PickerStateName(PickerState state) { return Word(state); }
std::string_view PickerInputName(PickerInput input) {
  return kPickerInputWords[static_cast<size_t>(input)].name;
}
std::string_view PickerReactionName(PickerReaction reaction) {
  return kPickerReactionWords[static_cast<size_t>(reaction)].name;
}
std::string_view ResponseStateName(ResponseState state) {
  return kResponseStateWords[static_cast<size_t>(state)].name;
}
std::string_view ResponseInputName(ResponseInput input) {
  return kResponseInputWords[static_cast<size_t>(input)].name;
}
std::string_view LeaseStepName(LeaseStep step) {
  return kLeaseStepWords[static_cast<size_t>(step)];
}

std::string PickerTableMarkdown() {
  std::string out;
  AppendHead(kPickerStateWords, kPickerStateCount - 1, &out);
  for (size_t input = 0; input < kPickerInputCount; ++input) {
    Append({"\n| ", kPickerInputWords[input].name, " |"}, &out);
    for (size_t state = 0; state + 1 < kPickerStateCount; ++state) {
      AppendPickerCell(kPickerTable[state][input], &out);
    }
  }
  Append({"\n"}, &out);
  AppendWords("state", kPickerStateWords, &out);
  AppendWords("what happens", kPickerInputWords, &out);
  AppendWords("reaction", kPickerReactionWords, &out);
  return out;
}

std::string ResponseTableMarkdown() {
  std::string out;
  AppendHead(kResponseStateWords, kResponseStateCount, &out);
  for (size_t input = 0; input < kResponseInputCount; ++input) {
    Append({"\n| ", kResponseInputWords[input].name, " |"}, &out);
    for (size_t state = 0; state < kResponseStateCount; ++state) {
      const ResponseCell& cell = kResponseTable[state][input];
      Append({" ", LeaseStepName(cell.step)}, &out);
      if (static_cast<size_t>(cell.leads_to) != state) {
        Append({" → ", ResponseStateName(cell.leads_to)}, &out);
      }
      Append({" |"}, &out);
    }
  }
  Append({"\n"}, &out);
  AppendWords("state", kResponseStateWords, &out);
  AppendWords("what comes", kResponseInputWords, &out);
  return out;
}

}  // namespace kvroute
