#ifndef KVROUTE_TOOLS_ENGINE_TOKENIZER_H_
#define KVROUTE_TOOLS_ENGINE_TOKENIZER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "indexer/event/event.h"

namespace kvroute {

// Tokens that text cannot merge with: nothing on their left has an influence on what is on their
// right. Their names stand in a prompt's text as "<|eot_id|>".
enum class SpecialToken : TokenId {
  kBeginOfText = 128'000,
  kEndOfText = 128'001,
  kImage = 128'005,
  kStartHeader = 128'006,
  kEndHeader = 128'007,
  kEndOfTurn = 128'009,
  kPythonTag = 128'010,
};
std::string_view TextOf(SpecialToken token);

// Text to token ids as byte-pair tokenizers do it, without a vocabulary: text is cut into special
// tokens and pieces (a run of letters with the blank before it, up to three digits, punctuation,
// white space), long runs into several, and a piece's id is a hash of its bytes in [256, 128,000).
// A piece of one byte is that byte. About four bytes a token of English.
//
// The ids of a text depend on nothing but the text, on every machine, and the ids of what comes
// before a special token not on what comes after it. Two pieces may share an id: for an engine they
// are then the same token.
//
// Thread safety: every method from any thread. Cost: linear, about 10 ns a byte.
class Tokenizer {
 public:
  static constexpr TokenId kVocabulary = 128'256;  // ids are below it

  // Appends the ids of `text`, in which names of special tokens stand for these.
  static void Append(std::string_view text, std::vector<TokenId>* tokens);
  // The id of one piece.
  static TokenId IdOf(std::string_view piece);
};

// The words that a simulated engine answers with. Each is one piece, and a text of them is cut back
// into the same ones: what an engine has generated has the same ids when a client sends it back.
//
// Thread safety: every method from any thread.
class AnswerWords {
 public:
  // The answer to this prompt. `inside` says that it goes on from text, so that its first word has
  // a blank before it as well.
  AnswerWords(absl::Span<const TokenId> prompt, bool inside);

  // The number-th word with its blank.
  std::string Word(uint32_t number) const;
  // Appends the ids of the first `count` words.
  void AppendIds(uint32_t count, std::vector<TokenId>* tokens) const;

 private:
  const uint64_t seed_;
  const bool inside_;
};

}  // namespace kvroute

#endif  // KVROUTE_TOOLS_ENGINE_TOKENIZER_H_
