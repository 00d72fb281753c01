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
    blocks_[place].uses = 0;
    LinkNewest(place);
  }
}

size_t CorpusPool::Hits(absl::Span<const PrefixHash> chain) const {
  size_t hits = 0;
  while (hits < chain.size() && cached_.contains(chain[hits])) ++hits;
  return hits;
}

CorpusPool::Use CorpusPool::Begin(absl::Span<const PrefixHash> reused) {
  Use use;
  for (const PrefixHash content : reused) {
    const auto cached = cached_.find(content);
    KVROUTE_CHECK(cached != cached_.end());
    if (blocks_[cached->second].uses++ == 0) Unlink(cached->second);
    use.places_.push_back(cached->second);
  }
  return use;
}

bool CorpusPool::Compute(PrefixHash content, Use* use, std::vector<PrefixHash>* evicted) {
  const Place place = blocks_[head_].newer;  // the list is a ring: this is the oldest
  if (place == head_) return false;
  if (blocks_[place].cached) {
    evicted->push_back(blocks_[place].content);
    Uncache(place);
  }
  Unlink(place);
  Cache(place, content);
  blocks_[place].uses = 1;
  use->places_.push_back(place);
  return true;
}

void CorpusPool::End(const Use& use) {
  for (size_t i = use.places_.size(); i-- > 0;) {
    const Place place = use.places_[i];
    if (--blocks_[place].uses == 0) LinkNewest(place);
  }
}

size_t CorpusPool::Run(absl::Span<const PrefixHash> chain, size_t reuse,
                       std::vector<PrefixHash>* evicted) {
  const size_t length = std::min<size_t>(chain.size(), head_);
  reuse = std::min(reuse, length);
  Use use = Begin(chain.subspan(0, reuse));
  for (size_t i = reuse; i < length; ++i) KVROUTE_CHECK(Compute(chain[i], &use, evicted));
  End(use);
  return length;
}

bool CorpusPool::Drop(PrefixHash block) {
  const auto cached = cached_.find(block);
  if (cached == cached_.end()) return false;
  const Place place = cached->second;
  if (blocks_[place].uses > 0) return false;
  Uncache(place);
  Unlink(place);
  LinkOldest(place);
  return true;
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
