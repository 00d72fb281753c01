#include "indexer/stream/pending_events.h"

#include <algorithm>
#include <limits>
#include <new>
#include <utility>

namespace kvroute {
namespace {

constexpr size_t kForgottenCost = 32;        // a parent that is remembered
constexpr size_t kForgottenPart = 4;         // they take one part of so many at most
constexpr size_t kReleasedCapacity = 1'024;  // of a map that has become empty

// Plain comparison of everything that Add keeps of contents.
bool SameContents(const BlockContents& a, const BlockContents& b) {
  return a.tokens == b.tokens && a.block_size == b.block_size &&
         a.lookahead_tokens == b.lookahead_tokens && a.seed == b.seed && a.salted == b.salted &&
         a.inputs == b.inputs && a.mix == b.mix && a.mix_ends == b.mix_ends;
}

template <typename Map>
void Release(Map* map) {
  if (map->capacity() > kReleasedCapacity) Map().swap(*map);
}

}  // namespace

// What the event's own bytes take, and about 64 bytes a hash and 256 an entry of map slots and
// headers.
size_t PendingEvents::Cost(absl::Span<const EngineHash> hashes, const BlockContents& contents) {
  return 256 + hashes.size() * (sizeof(EngineHash) + sizeof(TierCopies) + 64) +
         contents.tokens.size() * sizeof(TokenId) + contents.mix.size() * sizeof(uint64_t) +
         contents.mix_ends.size() * sizeof(uint32_t);
}

bool PendingEvents::Add(EngineHash parent, absl::Span<const EngineHash> hashes,
                        const BlockContents& contents, Tier tier) {
  if (AddToEqual(parent, hashes, contents, tier)) return true;
  const size_t cost = Cost(hashes, contents);
  if (!TakeRoom(cost)) return false;
  const Id id = next_id_++;
  Slot& slot = slots_[id];
  Entry& entry = slot.entry;
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
  slot.live = hashes.size();
  LinkToParent(id, &slot);
  if (AddPlaces(id, &slot)) return true;
  Extract(id);
  EraseDead();
  return false;
}

bool PendingEvents::AddToEqual(EngineHash parent, absl::Span<const EngineHash> hashes,
                               const BlockContents& contents, Tier tier) {
  const auto places = hashes.empty() ? by_hash_.end() : by_hash_.find(hashes[0]);
  if (places == by_hash_.end()) return false;
  Slot& slot = slots_.at(places->second.back().id);
  const Entry& entry = slot.entry;
  if (entry.parent != parent || entry.stored_tier != tier || entry.hashes != hashes ||
      !SameContents(entry.contents, contents)) {
    return false;
  }
  for (uint32_t i = 0; i < hashes.size(); ++i) AddCopyAt(&slot, i, tier);
  return true;
}

// What waits longest goes first: it waits for a parent that will hardly come.
bool PendingEvents::TakeRoom(size_t cost) {
  if (cost > share_.limit()) return false;
  for (size_t freed = 0; !share_.TryTake(cost);) {
    if (freed >= cost || slots_.empty()) return false;  // others have the room
    const size_t before = share_.bytes();
    ForgetOldest();
    freed += before - share_.bytes();
  }
  return true;
}

void PendingEvents::ForgetOldest() {
  while (!slots_.contains(oldest_)) ++oldest_;
  const EngineHash parent = Extract(oldest_).parent;
  ++news_.events;
  Remember(parent);
  EraseDead();
}

// Parents take a part of the room at most. Beyond it all are given up at once, and it is said.
void PendingEvents::Remember(EngineHash parent) {
  if (forgotten_.contains(parent)) return;
  const size_t most = share_.limit() / kForgottenPart / kForgottenCost;
  if (forgotten_.size() < most && share_.TryTake(kForgottenCost)) {
    forgotten_.insert(parent);
    return;
  }
  news_.overflowed = true;
  share_.GiveBack(forgotten_.size() * kForgottenCost);
  absl::flat_hash_set<EngineHash>().swap(forgotten_);
}

bool PendingEvents::AddPlaces(Id id, Slot* slot) {
  const std::vector<EngineHash>& hashes = slot->entry.hashes;
  for (uint32_t i = 0; i < hashes.size(); ++i) {
    Places& places = by_hash_[hashes[i]];
    if (places.size() == kMaxEventsOfBlock) return false;
    places.push_back({id, i});
    slot->awaited += by_parent_.contains(hashes[i]);
  }
  return true;
}

void PendingEvents::LinkToParent(Id id, Slot* slot) {
  const auto [it, first] = by_parent_.try_emplace(slot->entry.parent);
  Siblings& siblings = it->second;
  slot->older = siblings.newest;
  if (siblings.newest != kNone) slots_.at(siblings.newest).newer = id;
  siblings.newest = id;
  if (!first) return;
  siblings.oldest = id;
  const auto places = by_hash_.find(slot->entry.parent);
  if (places == by_hash_.end()) return;
  for (const Place& place : places->second) ++slots_.at(place.id).awaited;
}

void PendingEvents::UnlinkFromParent(const Slot& slot) {
  const auto it = by_parent_.find(slot.entry.parent);
  Siblings& siblings = it->second;
  (slot.older == kNone ? siblings.oldest : slots_.at(slot.older).newer) = slot.newer;
  (slot.newer == kNone ? siblings.newest : slots_.at(slot.newer).older) = slot.older;
  if (siblings.oldest != kNone) return;
  by_parent_.erase(it);
  const auto places = by_hash_.find(slot.entry.parent);
  if (places == by_hash_.end()) return;
  for (const Place& place : places->second) {
    if (--slots_.at(place.id).awaited == 0) maybe_dead_.push_back(place.id);
  }
}

void PendingEvents::AddCopyAt(Slot* slot, uint32_t position, Tier tier) {
  uint16_t& copies = slot->entry.copies[position][static_cast<size_t>(tier)];
  if (copies == 0) {
    copies = 1;
    ++slot->live;
  } else if (mode_ == CopyMode::kCounted && copies < std::numeric_limits<uint16_t>::max()) {
    ++copies;
  }
}

bool PendingEvents::AddCopy(EngineHash hash, Tier tier) {
  const auto it = by_hash_.find(hash);
  if (it == by_hash_.end()) return false;
  const Place place = it->second.back();
  AddCopyAt(&slots_.at(place.id), place.position, tier);
  return true;
}

bool PendingEvents::Remove(EngineHash hash, Tier tier) {
  const auto it = by_hash_.find(hash);
  if (it == by_hash_.end()) return false;
  bool found = false;
  for (auto place = it->second.rbegin(); place != it->second.rend(); ++place) {
    Slot& slot = slots_.at(place->id);
    uint16_t& copies = slot.entry.copies[place->position][static_cast<size_t>(tier)];
    if (copies == 0) continue;
    found = true;
    if (--copies == 0 && --slot.live == 0) maybe_dead_.push_back(place->id);
    if (mode_ == CopyMode::kCounted) break;  // one Removed, one copy
  }
  EraseDead();
  return found;
}

void PendingEvents::ClearTier(Tier tier) {
  for (auto& [id, slot] : slots_) {
    if (slot.live == 0) continue;
    for (TierCopies& copies : slot.entry.copies) {
      uint16_t& count = copies[static_cast<size_t>(tier)];
      slot.live -= count > 0;
      count = 0;
    }
    if (slot.live == 0) maybe_dead_.push_back(id);
  }
  EraseDead();
}

// One that goes may have been all that another was kept for.
void PendingEvents::EraseDead() {
  while (!maybe_dead_.empty()) {
    const Id id = maybe_dead_.back();
    maybe_dead_.pop_back();
    const auto slot = slots_.find(id);
    if (slot != slots_.end() && slot->second.live == 0 && slot->second.awaited == 0) Extract(id);
  }
  ReleaseIfEmpty();
}

std::vector<PendingEvents::Entry> PendingEvents::Take(EngineHash parent) {
  std::vector<Entry> taken;
  const auto siblings = by_parent_.find(parent);
  if (siblings == by_parent_.end()) return taken;
  for (Id id = siblings->second.oldest; id != kNone;) {
    const Id next = slots_.at(id).newer;
    taken.push_back(Extract(id));
    id = next;
  }
  EraseDead();
  return taken;
}

PendingEvents::Entry PendingEvents::Extract(Id id) {
  const auto it = slots_.find(id);
  Slot slot = std::move(it->second);
  slots_.erase(it);
  share_.GiveBack(slot.entry.bytes);
  DropPlaces(id, slot.entry);
  UnlinkFromParent(slot);
  return std::move(slot.entry);
}

void PendingEvents::DropPlaces(Id id, const Entry& entry) {
  for (const EngineHash hash : entry.hashes) {
    const auto places = by_hash_.find(hash);
    if (places == by_hash_.end()) continue;  // an event may name a hash twice
    Places& list = places->second;
    list.erase(std::remove_if(list.begin(), list.end(),
                              [id](const Place& place) { return place.id == id; }),
               list.end());
    if (list.empty()) by_hash_.erase(places);
  }
}

// What the maps needed at their fullest is given back.
void PendingEvents::ReleaseIfEmpty() {
  if (!slots_.empty()) return;
  Release(&slots_);
  Release(&by_parent_);
  Release(&by_hash_);
  if (maybe_dead_.capacity() > kReleasedCapacity) std::vector<Id>().swap(maybe_dead_);
}

void PendingEvents::Abandon() {
  new (&slots_) decltype(slots_)();
  new (&by_parent_) decltype(by_parent_)();
  new (&by_hash_) decltype(by_hash_)();
  new (&forgotten_) decltype(forgotten_)();
  Clear();
}

void PendingEvents::Clear() {
  slots_.clear();
  by_parent_.clear();
  by_hash_.clear();
  maybe_dead_.clear();
  Release(&forgotten_);
  forgotten_.clear();
  news_ = {};
  share_.GiveBackAll();
  ReleaseIfEmpty();
}

}  // namespace kvroute
