#include "router/prompt/token_list.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "router/prompt/json_text.h"

namespace kvroute {
namespace {

// The names under which a body has its prompt as one list of tokens.
constexpr std::string_view kListNames[] = {"\"prompt\"", "\"token_ids\"", "\"input_ids\""};
// What stands before the list is a few short fields, or it is not looked for.
constexpr size_t kBeforeListBytes = 4'096;
constexpr size_t kBlockBytes = 64;
static_assert(std::endian::native == std::endian::little);

uint64_t WordAt(const char* at) {
  uint64_t word = 0;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

// A bit for each of 64 bytes: set where it is no digit.
uint64_t NonDigits(const char* block) {
  uint64_t bits = 0;
#ifdef __SSE2__
  for (size_t i = 0; i < kBlockBytes / 16; ++i) {
    __m128i bytes;
    std::memcpy(&bytes, block + 16 * i, sizeof(bytes));
    const __m128i value = _mm_sub_epi8(bytes, _mm_set1_epi8('0'));  // a digit's is 0 to 9
    const __m128i digits = _mm_cmpeq_epi8(_mm_min_epu8(value, _mm_set1_epi8(9)), value);
    bits |= (static_cast<uint64_t>(_mm_movemask_epi8(digits)) ^ 0xffff) << (16 * i);
  }
#else
  constexpr uint64_t kEach = 0x0101010101010101;
  for (size_t i = 0; i < kBlockBytes / 8; ++i) {
    const uint64_t value = WordAt(block + 8 * i) ^ (kEach * '0');
    const uint64_t above = (((value & (kEach * 0x7f)) + kEach * (0x7f - 9)) | value) & kEach * 0x80;
    bits |= (above * 0x0002040810204081 >> 56) << (8 * i);  // the eight high bits side by side
  }
#endif
  return bits;
}

// The number of 1 to 8 digits that ends before `end`; eight bytes before it can be read.
uint64_t NumberBefore(const char* end, size_t digits) {
  const size_t other_bits = 64 - 8 * digits;
  uint64_t value = WordAt(end - 8) >> other_bits << other_bits;
  value = (value & 0x0F0F0F0F0F0F0F0F) * 2561 >> 8;  // pairs of digits, of pairs, of those
  value = (value & 0x00FF00FF00FF00FF) * 6553601 >> 16;
  return (value & 0x0000FFFF0000FFFF) * 42949672960001 >> 32;
}

// Takes the numbers of up to eight digits with a comma behind each, 64 bytes at a time: so nothing
// that depends on how long a number is has to be predicted. Stops at the first that is anything
// else, or near the end; where it does is returned, which is where a number should begin.
size_t TakePlainNumbers(std::string_view text, size_t begin, size_t max_tokens,
                        std::vector<TokenId>* tokens) {
  constexpr size_t kMost = kBlockBytes / 2;  // of a block
  constexpr size_t kMoreAtATime = 4'096;
  size_t count = tokens->size();
  bool plain = true;
  for (size_t block = begin; plain && block + kBlockBytes <= text.size(); block += kBlockBytes) {
    if (count + kMost > tokens->size()) tokens->resize(std::min(count + kMoreAtATime, max_tokens));
    if (count + kMost > tokens->size()) break;
    TokenId* const found = tokens->data();
    for (uint64_t ends = NonDigits(text.data() + block); ends != 0; ends &= ends - 1) {
      const size_t end = block + static_cast<size_t>(std::countr_zero(ends));
      const size_t digits = end - begin;
      const char next = text[end];
      if (next == ',' && digits - 1 < 8) {
        found[count++] = static_cast<TokenId>(NumberBefore(text.data() + end, digits));
      } else if (digits != 0 || !IsJsonSpace(next)) {
        plain = false;
        break;
      }
      begin = end + 1;
    }
  }
  tokens->resize(count);
  return begin;
}

}  // namespace

TokenList ReadTokenListAt(std::string_view text, size_t max_tokens, std::vector<TokenId>* tokens,
                          size_t* bytes) {
  tokens->clear();
  size_t at = 0;
  const auto skip_space = [&] {
    while (at < text.size() && IsJsonSpace(text[at])) ++at;
  };
  if (text.empty() || text[at++] != '[') return TokenList::kNotIntegers;
  skip_space();
  if (at < text.size() && text[at] == ']') {
    *bytes = at + 1;
    return TokenList::kOk;
  }
  tokens->reserve(std::min(max_tokens, text.size() / 4));
  for (;;) {
    if (at >= 8) at = TakePlainNumbers(text, at, max_tokens, tokens);
    skip_space();
    uint64_t value = 0;
    const size_t digits = at;
    for (; at < text.size() && static_cast<unsigned char>(text[at] - '0') < 10; ++at) {
      value = value * 10 + static_cast<unsigned char>(text[at] - '0');
      if (at - digits > 10) return TokenList::kNotIntegers;
    }
    if (at == digits || value > std::numeric_limits<TokenId>::max()) return TokenList::kNotIntegers;
    if (tokens->size() == max_tokens) return TokenList::kTooMany;
    tokens->push_back(static_cast<TokenId>(value));
    skip_space();
    if (at == text.size()) return TokenList::kNotIntegers;
    const char next = text[at++];
    if (next == ']') break;
    if (next != ',') return TokenList::kNotIntegers;
  }
  *bytes = at;
  return TokenList::kOk;
}

TokenList ReadTokenIds(std::string_view raw, size_t max_tokens, std::vector<TokenId>* tokens) {
  size_t bytes = 0;
  const TokenList list = ReadTokenListAt(raw, max_tokens, tokens, &bytes);
  return list == TokenList::kOk && bytes != raw.size() ? TokenList::kNotIntegers : list;
}

// The cursor tells names and values from what stands inside of strings; and what it takes for JSON
// and is none is none with another value in the list's place, either.
std::optional<TokenListPlace> FindTokenList(std::string_view object, size_t max_tokens,
                                            std::vector<TokenId>* tokens) {
  JsonCursor fields(object.substr(0, kBeforeListBytes));
  std::string_view raw_name;
  while (fields.NextName(&raw_name)) {
    TokenListPlace place{fields.at()};
    const bool named =
        std::find(std::begin(kListNames), std::end(kListNames), raw_name) != std::end(kListNames);
    if (named && object[place.begin] == '[') {
      const TokenList list =
          ReadTokenListAt(object.substr(place.begin), max_tokens, tokens, &place.bytes);
      if (list != TokenList::kOk) return std::nullopt;
      return place;
    }
    // Long, and beside it there is no such list.
    if (raw_name == "\"messages\"" || raw_name == "\"input\"") return std::nullopt;
    std::string_view value;
    if (!fields.TakeValue(&value)) return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace kvroute
