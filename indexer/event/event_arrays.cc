#include <array>
#include <limits>

#include "indexer/base/limits.h"
#include "indexer/event/event_fields.h"

namespace kvroute {
namespace {

constexpr size_t kMinHashBytes = 8;
constexpr size_t kMaxHashBytes = 32;
constexpr uint64_t kMaxToken = std::numeric_limits<TokenId>::max();

// How to read an unsigned token from the 8 bytes that start at its first byte, taken as one
// big-endian word: word << left >> right, and the next token is `length` bytes on. Length 0: not
// one of these forms.
struct TokenForm {
  uint8_t length = 0;
  uint8_t left = 0;
  uint8_t right = 0;
};
constexpr std::array<TokenForm, 256> MakeTokenForms() {
  std::array<TokenForm, 256> forms{};
  for (int byte = 0; byte <= 0x7f; ++byte) forms[byte] = {1, 0, 56};
  forms[0xcc] = {2, 8, 56};
  forms[0xcd] = {3, 8, 48};
  forms[0xce] = {5, 8, 32};
  return forms;
}
constexpr std::array<TokenForm, 256> kTokenForms = MakeTokenForms();

// Reads tokens in their usual forms as long as whole words can be loaded. Returns how many.
uint64_t ReadPlainTokens(MsgpackCursor* cursor, uint64_t count, TokenId* tokens) {
  const uint8_t* at = cursor->position();
  uint64_t read = 0;
  if (cursor->remaining() >= 8) {
    const uint8_t* const last = cursor->end() - 8;
    while (read < count && at <= last) {
      // Most tokens take two or four bytes, in no order that a branch predictor could learn: told
      // apart by arithmetic, a token costs the load of its first byte and three steps, less than
      // the table's chain of two loads and than a wrong guess every other token.
      const unsigned wide = *at - 0xcdu;
      if (wide <= 1) {
        tokens[read++] = static_cast<TokenId>(LoadBigEndian64(at) << 8 >> (48 - 16 * wide));
        at += 3 + 2 * wide;
        continue;
      }
      const TokenForm form = kTokenForms[*at];
      if (form.length == 0) break;
      tokens[read++] = static_cast<TokenId>(LoadBigEndian64(at) << form.left >> form.right);
      at += form.length;
    }
  }
  cursor->Seek(at);
  return read;
}

DecodeReason ReadToken(MsgpackCursor* cursor, TokenId* token) {
  const MsgpackValue value = cursor->Read();
  if (value.type == MsgpackType::kBroken) return DecodeReason::kEnvelope;
  if (value.type != MsgpackType::kInt || value.negative || value.number > kMaxToken) {
    return DecodeReason::kTokenIds;
  }
  *token = static_cast<TokenId>(value.number);
  return DecodeReason::kOk;
}

// EAGLE cells [t, next t], each beginning with what the one before ended with.
DecodeReason ReadBigrams(MsgpackCursor* cursor, uint64_t count, TokenId* tokens, TokenId* last) {
  for (uint64_t i = 0; i < count; ++i) {
    const TokenId before = *last;
    const MsgpackValue cell = cursor->Read();
    if (cell.type == MsgpackType::kBroken) return DecodeReason::kEnvelope;
    if (cell.type != MsgpackType::kArray || cell.number != 2) return DecodeReason::kTokenIds;
    for (TokenId* token : {&tokens[i], last}) {
      const DecodeReason reason = ReadToken(cursor, token);
      if (reason != DecodeReason::kOk) return reason;
    }
    if (i > 0 && tokens[i] != before) return DecodeReason::kTokenIds;
  }
  return DecodeReason::kOk;
}

}  // namespace

uint64_t ReadPlainHashes(MsgpackCursor* cursor, uint64_t count, EngineHash* hashes) {
  constexpr size_t kDigestBytes = 2 + kMaxHashBytes;
  const uint8_t* at = cursor->position();
  const uint8_t* const end = cursor->end();
  uint64_t read = 0;
  for (; read < count; ++read) {
    const auto left = static_cast<size_t>(end - at);
    if (left >= 9 && ((at[0] == 0xcf) | (at[0] == 0xd3))) {
      hashes[read] = EngineHash(LoadBigEndian64(at + 1));
      at += 9;
    } else if (left >= kDigestBytes && at[0] == 0xc4 && at[1] == kMaxHashBytes) {
      hashes[read] = EngineHash(LoadBigEndian64(at + kDigestBytes - 8));
      at += kDigestBytes;
    } else {
      break;
    }
  }
  cursor->Seek(at);
  return read;
}

std::optional<EngineHash> HashOfValue(const MsgpackValue& value) {
  if (value.type == MsgpackType::kInt) return EngineHash(value.number);
  if (value.type != MsgpackType::kBin) return std::nullopt;
  if (value.bytes.size() < kMinHashBytes || value.bytes.size() > kMaxHashBytes) return std::nullopt;
  const std::string_view tail = value.bytes.substr(value.bytes.size() - 8);
  return EngineHash(LoadBigEndian64(reinterpret_cast<const uint8_t*>(tail.data())));
}

DecodeReason ReadBlockHashes(MsgpackCursor* cursor, EventArrays* arrays, Event* event) {
  const MsgpackValue head = cursor->Read();
  if (head.type == MsgpackType::kBroken) return DecodeReason::kEnvelope;
  if (head.type != MsgpackType::kArray) return DecodeReason::kBlockHashes;
  EngineHash* const hashes = arrays->hashes.Allocate(head.number);
  if (hashes == nullptr) return DecodeReason::kMemory;
  uint64_t read = 0;
  while ((read += ReadPlainHashes(cursor, head.number - read, hashes + read)) < head.number) {
    const MsgpackValue value = cursor->Read();
    if (value.type == MsgpackType::kBroken) return DecodeReason::kEnvelope;
    const std::optional<EngineHash> hash = HashOfValue(value);
    if (!hash) return DecodeReason::kBlockHashes;
    hashes[read++] = *hash;
  }
  event->block_hashes = absl::MakeConstSpan(hashes, head.number);
  return DecodeReason::kOk;
}

DecodeReason ReadTokenIds(MsgpackCursor* cursor, EventArrays* arrays, Event* event) {
  const MsgpackValue head = cursor->Read();
  if (head.type == MsgpackType::kBroken) return DecodeReason::kEnvelope;
  if (head.IsNil()) return DecodeReason::kOk;
  if (head.type != MsgpackType::kArray) return DecodeReason::kTokenIds;
  TokenId* const tokens = arrays->tokens.Allocate(head.number);
  if (tokens == nullptr) return DecodeReason::kMemory;
  event->token_ids = absl::MakeConstSpan(tokens, head.number);
  uint64_t read = ReadPlainTokens(cursor, head.number, tokens);
  if (read == 0 && head.number > 0) {
    const uint8_t* const first = cursor->position();
    if (cursor->Read().type == MsgpackType::kArray) {
      event->bigram = true;
      cursor->Seek(first);
      return ReadBigrams(cursor, head.number, tokens, &event->bigram_last);
    }
    cursor->Seek(first);
  }
  while (read < head.number) {
    const DecodeReason reason = ReadToken(cursor, &tokens[read]);
    if (reason != DecodeReason::kOk) return reason;
    ++read;
    read += ReadPlainTokens(cursor, head.number - read, tokens + read);
  }
  return DecodeReason::kOk;
}

DecodeReason ReadLookahead(MsgpackCursor* cursor, EventArrays* arrays, Event* event) {
  const MsgpackValue head = cursor->Read();
  if (head.type == MsgpackType::kBroken) return DecodeReason::kEnvelope;
  if (head.IsNil()) return DecodeReason::kOk;
  if (head.type != MsgpackType::kArray) return DecodeReason::kField;
  TokenId* tokens = nullptr;
  uint64_t length = 0;
  for (uint64_t i = 0; i < head.number; ++i) {
    const MsgpackValue list = cursor->Read();
    if (list.type == MsgpackType::kBroken) return DecodeReason::kEnvelope;
    if (list.type != MsgpackType::kArray || list.number > limits::kMaxLookaheadTokens) {
      return DecodeReason::kField;
    }
    if (i == 0) {
      length = list.number;
      // What is claimed must be there before room is made for it.
      if (head.number * length > cursor->remaining()) return DecodeReason::kField;
      tokens = arrays->tokens.Allocate(head.number * length);
      if (tokens == nullptr) return DecodeReason::kMemory;
    }
    if (list.number != length) return DecodeReason::kField;
    for (uint64_t t = 0; t < length; ++t) {
      const DecodeReason reason = ReadToken(cursor, &tokens[i * length + t]);
      if (reason == DecodeReason::kTokenIds) return DecodeReason::kField;
      if (reason != DecodeReason::kOk) return reason;
    }
  }
  event->lookahead_tokens = static_cast<uint32_t>(length);
  event->lookahead_token_ids = absl::MakeConstSpan(tokens, head.number * length);
  return DecodeReason::kOk;
}

}  // namespace kvroute
