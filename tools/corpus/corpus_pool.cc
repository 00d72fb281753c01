#include "tools/corpus/corpus_pool.h"

#include <algorithm>

#include "indexer/base/check.h"

namespace kvroute {

CorpusPool::CorpusPool(uint32_t capacity_blocks)
    : head_(capacity_blocks), blocks_(capacity_blocks + 1) {
  KVROUTE_CHECK(capacity_blocks > 0);
  Clear();
}

void CorpusPool::Clear() {
  cached_.clear();
  blocks_[head_].older = blocks_[head_].newer = head_;
  for (Place place = 0; place < head_; ++place) {
    blocks_[place].cached = false;
    LinkNewest(place);
  }
}

size_t CorpusPool::Hits(absl::Span<const PrefixHash> chain) const {
  size_t hits = 0;
  while (hits < chain.size() && cached_.contains(chain[hits])) ++hits;
  return hits;
}

size_t CorpusPool::Run(absl::Span<const PrefixHash> chain, size_t reuse,
                       std::vector<PrefixHash>* evicted) {
  const size_t length = std::min<size_t>(chain.size(), head_);
  in_use_.clear();
  for (size_t i = 0; i < std::min(reuse, length); ++i) {
    const auto cached = cached_.find(chain[i]);
    KVROUTE_CHECK(cached != cached_.end());
    Unlink(cached->second);
    in_use_.push_back(cached->second);
  }
  while (in_use_.size() < length) {
    const Place place = Take(evicted);
    in_use_.push_back(place);
  }
  for (size_t i = reuse; i < length; ++i) Cache(in_use_[i], chain[i]);
  for (size_t i = length; i-- > 0;) LinkNewest(in_use_[i]);
  return length;
}

bool CorpusPool::Drop(PrefixHash block) {
  const auto cached = cached_.find(block);
  if (cached == cached_.end()) return false;
  const Place place = cached->second;
  Uncache(place);
  Unlink(place);
  LinkOldest(place);
  return true;
}

CorpusPool::Place CorpusPool::Take(std::vector<PrefixHash>* evicted) {
  // the list is a ring: the head's newer neighbour is the oldest
  const Place place = blocks_[head_].newer;
  KVROUTE_CHECK(place != head_);
  if (blocks_[place].cached) {
    evicted->push_back(blocks_[place].content);
    Uncache(place);
  }
  Unlink(place);
  return place;
}

void CorpusPool::Uncache(Place place) {
  Block& block = blocks_[place];
  const auto cached = cached_.find(block.content);
  if (cached->second == place) {
    if (block.next_copy == place) {
      cached_.erase(cached);
    } else {
      cached->second = block.next_copy;
    }
  } else {
    Place before = cached->second;
    while (blocks_[before].next_copy != place) before = blocks_[before].next_copy;
    blocks_[before].next_copy = block.next_copy == place ? before : block.next_copy;
  }
  block.cached = false;
}

void CorpusPool::Cache(Place place, PrefixHash content) {
  const auto [cached, first_copy] = cached_.try_emplace(content, place);
  blocks_[place].content = content;
  blocks_[place].cached = true;
  blocks_[place].next_copy = first_copy ? place : cached->second;
  cached->second = place;
}

void CorpusPool::Unlink(Place place) {
  const Block& block = blocks_[place];
  blocks_[block.older].newer = block.newer;
  blocks_[block.newer].older = block.older;
}

void CorpusPool::LinkNewest(Place place) {
  const Place newest = blocks_[head_].older;
  blocks_[place].older = newest;
  blocks_[place].newer = head_;
  blocks_[newest].newer = place;
  blocks_[head_].older = place;
}

void CorpusPool::LinkOldest(Place place) {
  const Place oldest = blocks_[head_].newer;
  blocks_[place].older = head_;
  blocks_[place].newer = oldest;
  blocks_[oldest].older = place;
  blocks_[head_].newer = place;
}

}  // namespace kvroute
