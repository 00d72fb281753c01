#include "router/prompt/render/render_memory.h"

#include <xxhash.h>

#include <algorithm>
#include <utility>

namespace kvroute {
namespace {

size_t RememberedBytes(const RenderedPrompt& prompt) {
  constexpr size_t kEntryBytes =
      256;  // of the entry itself, its list node and its place in the map
  size_t bytes = kEntryBytes + prompt.token_ids.size() * sizeof(TokenId) + prompt.cache_salt.size();
  for (const RenderedPrompt::Input& input : prompt.inputs) {
    bytes += sizeof(input) + input.identifier.size();
  }
  return bytes;
}

bool SameTokens(const RenderedPrompt& a, const RenderedPrompt& b) {
  return a.token_ids == b.token_ids && a.cache_salt == b.cache_salt &&
         std::equal(a.inputs.begin(), a.inputs.end(), b.inputs.begin(), b.inputs.end(),
                    [](const auto& x, const auto& y) {
                      return x.identifier == y.identifier && x.offset_tokens == y.offset_tokens &&
                             x.length_tokens == y.length_tokens;
                    });
}

}  // namespace

RenderKey RenderMemory::KeyOf(Api api, std::string_view model, std::string_view body) const {
  // The seed is this process's own: a client cannot find two bodies with one key.
  const uint64_t model_hash =
      XXH3_64bits_withSeed(model.data(), model.size(), seed_ + static_cast<uint64_t>(api));
  const XXH128_hash_t hash = XXH3_128bits_withSeed(body.data(), body.size(), model_hash);
  return {hash.high64, hash.low64};
}

RenderMemory::Found RenderMemory::Find(const RenderKey& key, Nanos now) {
  if (max_bytes_ == 0) return {};
  MutexLock lock(&mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) {
    ++stats_.not_found;
    return {};
  }
  if (now - found->second->rendered_at >= kGoodFor) {
    Erase(found->second);
    ++stats_.not_found;
    return {};
  }
  entries_.splice(entries_.begin(), entries_, found->second);
  return {.prompt = entries_.front().prompt, .check = stats_.found++ % kCheckEvery == 0};
}

void RenderMemory::Put(const RenderKey& key, const RenderedPrompt& prompt, Nanos now) {
  const size_t bytes = RememberedBytes(prompt);
  auto remembered = std::make_shared<RenderedPrompt>(prompt);
  remembered->by = RenderedBy::kMemory;
  MutexLock lock(&mutex_);
  if (stats_.is_off || bytes > max_bytes_ / 4) return;
  if (const auto old = by_key_.find(key); old != by_key_.end()) Erase(old->second);
  while (!entries_.empty() && stats_.bytes + bytes > max_bytes_) Erase(std::prev(entries_.end()));
  entries_.push_front({key, std::move(remembered), now, bytes});
  by_key_[key] = entries_.begin();
  stats_.bytes += bytes;
}

bool RenderMemory::Compare(const RenderKey& key, const RenderedPrompt& prompt) {
  MutexLock lock(&mutex_);
  const auto found = by_key_.find(key);
  if (stats_.is_off || found == by_key_.end()) return true;
  ++stats_.checks;
  if (SameTokens(*found->second->prompt, prompt)) return true;
  ++stats_.differences;
  stats_.is_off = true;
  Clear();
  return false;
}

void RenderMemory::Forget() {
  MutexLock lock(&mutex_);
  Clear();
}

RenderMemoryStats RenderMemory::Stats() const {
  MutexLock lock(&mutex_);
  RenderMemoryStats stats = stats_;
  stats.entries = entries_.size();
  return stats;
}

void RenderMemory::Erase(Entries::iterator entry) {
  stats_.bytes -= entry->bytes;
  by_key_.erase(entry->key);
  entries_.erase(entry);
}

void RenderMemory::Clear() {
  entries_.clear();
  by_key_.clear();
  stats_.bytes = 0;
}

}  // namespace kvroute
