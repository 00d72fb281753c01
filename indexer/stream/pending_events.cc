#include "indexer/stream/pending_events.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace kvroute {

// What the event's own bytes take, and about 64 bytes a hash and 256 an entry of map slots and
// headers.
size_t PendingEvents::Cost(absl::Span<const EngineHash> hashes, const BlockContents& contents) {
  return 256 + hashes.size() * (sizeof(EngineHash) + sizeof(TierCopies) + 64) +
         contents.tokens.size() * sizeof(TokenId) + contents.mix.size() * sizeof(uint64_t) +
         contents.mix_ends.size() * sizeof(uint32_t);
}

bool PendingEvents::Add(EngineHash parent, absl::Span<const EngineHash> hashes,
                        const BlockContents& contents, Tier tier) {
  const size_t cost = Cost(hashes, contents);
  if (cost > max_bytes_ - bytes_) return false;
  bytes_ += cost;
  const Id id = next_id_++;
  Entry& entry = entries_[id];
  entry.parent = parent;
  entry.hashes.assign(hashes.begin(), hashes.end());
  TierCopies one{};
  one[static_cast<size_t>(tier)] = 1;
  entry.copies.assign(hashes.size(), one);
  entry.stored_tier = tier;
  entry.tokens.assign(contents.tokens.begin(), contents.tokens.end());
  entry.mix.assign(contents.mix.begin(), contents.mix.end());
  entry.mix_ends.assign(contents.mix_ends.begin(), contents.mix_ends.end());
  entry.contents = contents;
  // heap buffers: they stay where they are when the entry moves
  entry.contents.tokens = entry.tokens;
  entry.contents.mix = entry.mix;
  entry.contents.mix_ends = entry.mix_ends;
  entry.bytes = cost;
  by_parent_[parent].push_back(id);
  for (uint32_t i = 0; i < hashes.size(); ++i) by_hash_[hashes[i]].push_back({id, i});
  live_[id] = hashes.size();
  return true;
}

bool PendingEvents::AddCopy(EngineHash hash, Tier tier) {
  const auto it = by_hash_.find(hash);
  if (it == by_hash_.end()) return false;
  const Place place = it->second.back();
  uint16_t& copies = entries_[place.id].copies[place.position][static_cast<size_t>(tier)];
  if (copies == 0) {
    copies = 1;
    ++live_[place.id];
  } else if (mode_ == CopyMode::kCounted && copies < std::numeric_limits<uint16_t>::max()) {
    ++copies;
  }
  return true;
}

bool PendingEvents::Remove(EngineHash hash, Tier tier) {
  const auto it = by_hash_.find(hash);
  if (it == by_hash_.end()) return false;
  const absl::InlinedVector<Place, 1> places = it->second;  // EraseIfDead changes the map's own
  bool found = false;
  for (auto place = places.rbegin(); place != places.rend(); ++place) {
    const auto entry = entries_.find(place->id);
    if (entry == entries_.end()) continue;  // it named the hash twice and has just gone
    uint16_t& copies = entry->second.copies[place->position][static_cast<size_t>(tier)];
    if (copies == 0) continue;
    found = true;
    if (--copies == 0 && --live_[place->id] == 0) EraseIfDead(place->id);
    if (mode_ == CopyMode::kCounted) break;  // one Removed, one copy
  }
  return found;
}

// An entry whose blocks are all gone matters only as long as others wait for it as their parent.
void PendingEvents::EraseIfDead(Id id) {
  for (const EngineHash hash : entries_[id].hashes) {
    if (by_parent_.contains(hash)) return;
  }
  Extract(id);
}

std::vector<PendingEvents::Entry> PendingEvents::Take(EngineHash parent) {
  std::vector<Entry> taken;
  const auto it = by_parent_.find(parent);
  if (it == by_parent_.end()) return taken;
  const absl::InlinedVector<Id, 1> ids = it->second;
  taken.reserve(ids.size());
  for (const Id id : ids) taken.push_back(Extract(id));
  return taken;
}

PendingEvents::Entry PendingEvents::Extract(Id id) {
  const auto it = entries_.find(id);
  Entry entry = std::move(it->second);
  entries_.erase(it);
  live_.erase(id);
  bytes_ -= entry.bytes;
  const auto siblings = by_parent_.find(entry.parent);
  auto& ids = siblings->second;
  ids.erase(std::remove(ids.begin(), ids.end(), id), ids.end());
  if (ids.empty()) by_parent_.erase(siblings);
  for (const EngineHash hash : entry.hashes) {
    const auto places = by_hash_.find(hash);
    if (places == by_hash_.end()) continue;  // an event may name a hash twice
    auto& list = places->second;
    list.erase(std::remove_if(list.begin(), list.end(),
                              [id](const Place& place) { return place.id == id; }),
               list.end());
    if (list.empty()) by_hash_.erase(places);
  }
  return entry;
}

void PendingEvents::Clear() {
  entries_.clear();
  by_parent_.clear();
  by_hash_.clear();
  live_.clear();
  bytes_ = 0;
}

}  // namespace kvroute
