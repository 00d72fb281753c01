#include "tools/fleet/engine_pool.h"

#include "indexer/base/check.h"
#include "tools/fleet/block_key.h"

namespace kvroute {
namespace {

// The pools of a fleet do not fit a core's cache: hashes are fetched so many places ahead of use.
constexpr size_t kAhead = 8;

}  // namespace

template <typename Hash>
BasicEnginePool<Hash>::BasicEnginePool(uint32_t capacity_blocks, uint32_t block_size_tokens,
                                       Announce announce, Events* events)
    : block_size_tokens_(block_size_tokens),
      announce_(announce),
      events_(events),
      sentinel_(capacity_blocks),
      blocks_(capacity_blocks + size_t{1}) {
  KVROUTE_CHECK(capacity_blocks > 0 && block_size_tokens > 0);
  heads_.reserve(capacity_blocks);
  blocks_[sentinel_].free_previous = blocks_[sentinel_].free_next = sentinel_;
  for (uint32_t block = 0; block < capacity_blocks; ++block) PushFree(block);
}

template <typename Hash>
uint32_t BasicEnginePool<Hash>::CountResident(absl::Span<const Hash> chain) const {
  uint32_t count = 0;
  for (; count < chain.size(); ++count) {
    if (count + kAhead < chain.size()) heads_.prefetch(chain[count + kAhead]);
    if (!heads_.contains(chain[count])) break;
  }
  return count;
}

template <typename Hash>
bool BasicEnginePool<Hash>::Acquire(absl::Span<const Hash> hits, uint32_t fresh,
                                    std::vector<BlockIndex>* blocks) {
  std::vector<uint32_t> found;
  found.reserve(hits.size());
  uint32_t idle_hits = 0;  // a hit that nobody refers to leaves the free list as well
  for (const Hash& hash : hits) {
    const auto head = heads_.find(hash);
    KVROUTE_CHECK(head != heads_.end());
    found.push_back(head->second);
    if (blocks_[head->second].references == 0) ++idle_hits;
  }
  if (idle_hits + fresh > free_blocks_) return false;

  for (const uint32_t block : found) {
    if (blocks_[block].references++ == 0) RemoveFree(block);
    blocks->push_back(BlockIndex(block));
  }
  uint32_t ahead = blocks_[sentinel_].free_next;
  for (size_t i = 0; i < kAhead && ahead != sentinel_; ++i) ahead = blocks_[ahead].free_next;
  for (uint32_t i = 0; i < fresh; ++i) {
    const uint32_t block = blocks_[sentinel_].free_next;
    if (ahead != sentinel_) {
      if (blocks_[ahead].findable) heads_.prefetch(blocks_[ahead].hash);
      ahead = blocks_[ahead].free_next;
    }
    RemoveFree(block);
    Evict(block);
    blocks_[block].references = 1;
    blocks->push_back(BlockIndex(block));
  }
  return true;
}

template <typename Hash>
void BasicEnginePool<Hash>::Register(absl::Span<const BlockIndex> blocks,
                                     absl::Span<const Hash> hashes,
                                     absl::Span<const TokenId> tokens, size_t first, size_t end,
                                     const HashNamespace& names) {
  const auto announce = [&](size_t from, size_t to) {
    if (events_ == nullptr || from == to) return;
    const auto its_tokens = tokens.empty() ? tokens
                                           : tokens.subspan(from * block_size_tokens_,
                                                            (to - from) * block_size_tokens_);
    events_->Stored(from == 0 ? nullptr : &hashes[from - 1], hashes.subspan(from, to - from),
                    its_tokens, names);
  };
  size_t from = first;
  for (size_t i = first; i < end; ++i) {
    if (i + kAhead < end) heads_.prefetch(hashes[i + kAhead]);
    const uint32_t block = blocks[i].value();
    KVROUTE_CHECK(!blocks_[block].findable);
    blocks_[block].hash = hashes[i];
    if (Link(block) || announce_ == Announce::kEveryCopy) continue;
    announce(from, i);  // a further copy is not announced: it splits the stretch
    from = i + 1;
  }
  announce(from, end);
}

template <typename Hash>
void BasicEnginePool<Hash>::Release(absl::Span<const BlockIndex> blocks) {
  for (auto block = blocks.rbegin(); block != blocks.rend(); ++block) {
    KVROUTE_CHECK(blocks_[block->value()].references > 0);
    if (--blocks_[block->value()].references == 0) PushFree(block->value());
  }
}

template <typename Hash>
void BasicEnginePool<Hash>::Clear() {
  KVROUTE_CHECK(free_blocks_ == sentinel_);
  heads_.clear();
  for (Block& block : blocks_) {
    block.findable = false;
    block.copy_previous = block.copy_next = kNone;
  }
  if (events_ != nullptr) events_->Cleared();
}

template <typename Hash>
void BasicEnginePool<Hash>::PushFree(uint32_t block) {
  const uint32_t last = blocks_[sentinel_].free_previous;
  blocks_[block].free_previous = last;
  blocks_[block].free_next = sentinel_;
  blocks_[last].free_next = block;
  blocks_[sentinel_].free_previous = block;
  ++free_blocks_;
}

template <typename Hash>
void BasicEnginePool<Hash>::RemoveFree(uint32_t block) {
  KVROUTE_CHECK(block != sentinel_);
  blocks_[blocks_[block].free_previous].free_next = blocks_[block].free_next;
  blocks_[blocks_[block].free_next].free_previous = blocks_[block].free_previous;
  --free_blocks_;
}

template <typename Hash>
bool BasicEnginePool<Hash>::Link(uint32_t block) {
  blocks_[block].findable = true;
  const auto [head, first] = heads_.try_emplace(blocks_[block].hash, block);
  if (first) return true;
  // Behind the head: hits go to the oldest copy, the order of the others does not matter.
  const uint32_t next = blocks_[head->second].copy_next;
  blocks_[block].copy_previous = head->second;
  blocks_[block].copy_next = next;
  blocks_[head->second].copy_next = block;
  if (next != kNone) blocks_[next].copy_previous = block;
  return false;
}

template <typename Hash>
bool BasicEnginePool<Hash>::Unlink(uint32_t block) {
  Block& it = blocks_[block];
  bool last = false;
  if (it.copy_previous != kNone) {
    blocks_[it.copy_previous].copy_next = it.copy_next;
  } else if (it.copy_next != kNone) {
    heads_[it.hash] = it.copy_next;
  } else {
    heads_.erase(it.hash);
    last = true;
  }
  if (it.copy_next != kNone) blocks_[it.copy_next].copy_previous = it.copy_previous;
  it.copy_previous = it.copy_next = kNone;
  it.findable = false;
  return last;
}

template <typename Hash>
void BasicEnginePool<Hash>::Evict(uint32_t block) {
  if (!blocks_[block].findable) return;
  const bool last = Unlink(block);
  if (events_ != nullptr && (last || announce_ == Announce::kEveryCopy)) {
    events_->Removed(blocks_[block].hash);
  }
}

template class BasicEnginePool<Digest>;
template class BasicEnginePool<BlockKey>;

}  // namespace kvroute
