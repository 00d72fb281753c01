#include "router/prompt/text_memory.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>

#include "router/prompt/json_text.h"

namespace kvroute {
namespace {

uint64_t HashText(std::string_view text, uint64_t seed) {
  return XXH3_64bits_withSeed(text.data(), text.size(), seed);
}

// Where the text can go on: before the end of a list or of a string.
std::string_view WithoutEnd(std::string_view raw) {
  return raw.substr(0, raw.size() - std::min<size_t>(raw.size(), 1));
}

}  // namespace

void MakeTextChain(const RequestBody& body, TextChain* chain) {
  chain->hashes.clear();
  const std::string_view text = WithoutEnd(body.raw_prompt);
  if (body.prompt_count != 1 || text.size() < TextChain::kPieceBytes) return;
  chain->hashes.reserve(text.size() / TextChain::kPieceBytes);
  uint64_t hash = static_cast<uint64_t>(body.api);
  for (const std::string_view before :
       {std::string_view(body.model), std::string_view(body.lora_name),
        std::string_view(body.cache_salt), body.raw_system, body.raw_tools, body.raw_documents,
        body.raw_chat_template, body.raw_chat_template_kwargs}) {
    hash = HashText(before, hash);
  }
  for (size_t at = 0; at + TextChain::kPieceBytes <= text.size(); at += TextChain::kPieceBytes) {
    hash = HashText(text.substr(at, TextChain::kPieceBytes), hash);
    chain->hashes.push_back(TextHash(hash == 0 ? 1 : hash));
  }
}

TextMemory::TextMemory(size_t max_pieces)
    : sets_(std::bit_floor(std::max<size_t>(max_pieces / kWays, 1))) {}

absl::Span<TextMemory::Slot> TextMemory::SetOf(TextHash hash) {
  return absl::MakeSpan(slots_).subspan((hash.value() & (sets_ - 1)) * kWays, kWays);
}

void TextMemory::Record(const TextChain& chain, uint32_t place) {
  if (chain.empty()) return;
  MutexLock lock(&mutex_);
  if (slots_.empty()) slots_.resize(sets_ * kWays);
  ++texts_;
  ++stats_.recorded;
  for (const TextHash hash : chain.hashes) RecordPiece(hash, place);
}

void TextMemory::RecordPiece(TextHash hash, uint32_t place) {
  Slot* oldest = nullptr;
  const uint32_t now = texts_;
  for (Slot& slot : SetOf(hash)) {
    if (slot.hash == hash && slot.place == place) {
      slot.used = texts_;
      return;
    }
    // Differences, so that the count may wrap around.
    const auto age = [now](const Slot& of) {
      return of.hash.value() == 0 ? UINT32_MAX : now - of.used;
    };
    if (oldest == nullptr || age(slot) > age(*oldest)) oldest = &slot;
  }
  if (oldest->hash.value() != 0) ++stats_.forgotten;
  *oldest = {hash, place, texts_};
}

void TextMemory::Find(const TextChain& chain, std::vector<Found>* found) {
  found->clear();
  if (chain.empty()) return;
  MutexLock lock(&mutex_);
  ++stats_.looked_up;
  if (slots_.empty()) return;
  for (uint32_t piece = 0; piece < chain.hashes.size(); ++piece) {
    const TextHash hash = chain.hashes[piece];
    bool any = false;
    for (const Slot& slot : SetOf(hash)) {
      if (slot.hash != hash) continue;
      const auto known = std::find_if(found->begin(), found->end(), [&](const Found& place) {
        return place.place == slot.place;
      });
      if (known != found->end()) {
        known->pieces = piece + 1;
      } else if (found->size() < kMaxFound) {
        found->push_back({slot.place, piece + 1});
      }
      any = true;
    }
    if (!any) break;
  }
  if (!found->empty()) ++stats_.found;
  std::sort(found->begin(), found->end(), [](const Found& a, const Found& b) {
    return a.pieces != b.pieces ? a.pieces > b.pieces : a.place < b.place;
  });
}

size_t TextMemory::Bytes() const {
  MutexLock lock(&mutex_);
  return slots_.size() * sizeof(Slot);
}

TextMemory::Stats TextMemory::GetStats() const {
  MutexLock lock(&mutex_);
  return stats_;
}

}  // namespace kvroute
