#include "tools/engine/tokenizer.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <utility>

namespace kvroute {
namespace {

constexpr TokenId kFirstHashed = 256;
constexpr TokenId kHashed = 128'000 - kFirstHashed;
constexpr size_t kMaxLetters = 6;  // of a piece
constexpr size_t kMaxDigits = 3;
constexpr size_t kMaxSigns = 4;
constexpr size_t kMaxBlanks = 16;

constexpr std::array<std::pair<SpecialToken, std::string_view>, 7> kSpecialTokens = {{
    {SpecialToken::kBeginOfText, "<|begin_of_text|>"},
    {SpecialToken::kEndOfText, "<|end_of_text|>"},
    {SpecialToken::kImage, "<|image|>"},
    {SpecialToken::kStartHeader, "<|start_header_id|>"},
    {SpecialToken::kEndHeader, "<|end_header_id|>"},
    {SpecialToken::kEndOfTurn, "<|eot_id|>"},
    {SpecialToken::kPythonTag, "<|python_tag|>"},
}};

enum class Kind : uint8_t { kLetter, kDigit, kBlank, kSign };

Kind KindOf(char byte) {
  const auto it = static_cast<unsigned char>(byte);
  if (it >= 0x80 || (it >= 'a' && it <= 'z') || (it >= 'A' && it <= 'Z')) return Kind::kLetter;
  if (it >= '0' && it <= '9') return Kind::kDigit;
  if (it == ' ' || (it >= '\t' && it <= '\r')) return Kind::kBlank;
  return Kind::kSign;
}

size_t MaxRun(Kind kind) {
  switch (kind) {
    case Kind::kLetter:
      return kMaxLetters;
    case Kind::kDigit:
      return kMaxDigits;
    case Kind::kBlank:
      return kMaxBlanks;
    case Kind::kSign:
      return kMaxSigns;
  }
  return 1;
}

size_t RunLength(std::string_view text, size_t at, Kind kind) {
  const size_t most = std::min(text.size() - at, MaxRun(kind));
  size_t length = 0;
  while (length < most && KindOf(text[at + length]) == kind) ++length;
  return length;
}

// The length of the piece that begins at `at`. A blank belongs to the word or the signs behind it.
size_t PieceLength(std::string_view text, size_t at) {
  const Kind kind = KindOf(text[at]);
  if (kind != Kind::kBlank) return RunLength(text, at, kind);
  const bool leads = text[at] == ' ' && at + 1 < text.size() &&
                     KindOf(text[at + 1]) != Kind::kBlank && KindOf(text[at + 1]) != Kind::kDigit;
  if (leads) return 1 + RunLength(text, at + 1, KindOf(text[at + 1]));
  const size_t blanks = RunLength(text, at, Kind::kBlank);
  const size_t end = at + blanks;
  const bool last_leads = blanks > 1 && end < text.size() && text[end - 1] == ' ' &&
                          KindOf(text[end]) != Kind::kBlank && KindOf(text[end]) != Kind::kDigit;
  return last_leads ? blanks - 1 : blanks;
}

void AppendPlain(std::string_view text, std::vector<TokenId>* tokens) {
  for (size_t at = 0; at < text.size();) {
    const size_t length = PieceLength(text, at);
    tokens->push_back(Tokenizer::IdOf(text.substr(at, length)));
    at += length;
  }
}

}  // namespace

std::string_view TextOf(SpecialToken token) {
  for (const auto& [known, text] : kSpecialTokens) {
    if (known == token) return text;
  }
  return {};
}

TokenId Tokenizer::IdOf(std::string_view piece) {
  if (piece.size() == 1) return static_cast<unsigned char>(piece[0]);
  return kFirstHashed + static_cast<TokenId>(XXH3_64bits(piece.data(), piece.size()) % kHashed);
}

void Tokenizer::Append(std::string_view text, std::vector<TokenId>* tokens) {
  tokens->reserve(tokens->size() + text.size() / 3);
  size_t plain = 0;  // where the text begins that has not been cut yet
  for (size_t at = text.find("<|"); at != text.npos; at = text.find("<|", at)) {
    const auto* const special = std::find_if(
        kSpecialTokens.begin(), kSpecialTokens.end(),
        [&](const auto& known) { return text.substr(at, known.second.size()) == known.second; });
    if (special == kSpecialTokens.end()) {
      at += 2;
      continue;
    }
    AppendPlain(text.substr(plain, at - plain), tokens);
    tokens->push_back(static_cast<TokenId>(special->first));
    plain = at += special->second.size();
  }
  AppendPlain(text.substr(plain), tokens);
}

AnswerWords::AnswerWords(absl::Span<const TokenId> prompt, bool inside)
    : seed_(XXH3_64bits(prompt.data(), prompt.size() * sizeof(TokenId))), inside_(inside) {}

std::string AnswerWords::Word(uint32_t number) const {
  constexpr std::string_view kConsonants = "bdfgklmnprstvz";
  constexpr std::string_view kVowels = "aeiou";
  const uint32_t mixed[2] = {number, 0};
  uint64_t draw = XXH3_64bits_withSeed(mixed, sizeof(mixed), seed_);
  std::string word(number > 0 || inside_ ? " " : "");
  for (uint64_t syllables = 2 + draw % 2; syllables > 0; --syllables) {
    draw /= 2;
    word += kConsonants[draw % kConsonants.size()];
    draw /= kConsonants.size();
    word += kVowels[draw % kVowels.size()];
    draw /= kVowels.size();
  }
  return word;
}

void AnswerWords::AppendIds(uint32_t count, std::vector<TokenId>* tokens) const {
  for (uint32_t i = 0; i < count; ++i) tokens->push_back(Tokenizer::IdOf(Word(i)));
}

}  // namespace kvroute
