#include "test/support/reference_index.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "indexer/base/check.h"

namespace kvroute {
namespace {

size_t Index(Tier tier) {
  KVROUTE_CHECK(tier != Tier::kUnknown);
  return static_cast<size_t>(tier);
}

}  // namespace

bool ReferenceIndex::Holding::AnyCopy() const {
  return std::any_of(copies.begin(), copies.end(), [](uint32_t n) { return n > 0; });
}

void ReferenceIndex::Open(StreamId stream, CopyMode mode) {
  const bool inserted = streams_.emplace(stream, Stream{mode, {}, {}}).second;
  KVROUTE_CHECK(inserted);
}

void ReferenceIndex::Close(StreamId stream) { KVROUTE_CHECK(streams_.erase(stream) == 1); }

ReferenceIndex::Stream& ReferenceIndex::Get(StreamId stream) {
  const auto found = streams_.find(stream);
  KVROUTE_CHECK(found != streams_.end());
  return found->second;
}

const ReferenceIndex::Stream& ReferenceIndex::Get(StreamId stream) const {
  const auto found = streams_.find(stream);
  KVROUTE_CHECK(found != streams_.end());
  return found->second;
}

bool ReferenceIndex::AddCopy(CopyMode mode, Tier tier, Holding* holding) {
  uint32_t& copies = holding->copies[Index(tier)];
  if (copies == 0) {
    copies = 1;
    return true;
  }
  if (mode == CopyMode::kCounted && copies < kMaxCopies) ++copies;
  return false;
}

bool ReferenceIndex::HasCopy(const Stream& stream, PrefixHash prefix, Tier tier) {
  const auto [begin, end] = stream.names.equal_range(prefix);
  return std::any_of(begin, end, [&](const auto& name) {
    return stream.holdings.at(name.second).copies[Index(tier)] > 0;
  });
}

void ReferenceIndex::Drop(Stream* stream, EngineHash engine_hash) {
  const auto held = stream->holdings.find(engine_hash);
  const auto [begin, end] = stream->names.equal_range(held->second.prefix);
  for (auto name = begin; name != end; ++name) {
    if (name->second == engine_hash) {
      stream->names.erase(name);
      break;
    }
  }
  stream->holdings.erase(held);
}

StoreResult ReferenceIndex::Store(StreamId stream_id, const StoreRequest& request) {
  KVROUTE_CHECK(request.engine_hashes.size() == request.local_hashes.size());
  Stream& stream = Get(stream_id);
  StoreResult result;
  std::vector<PrefixHash> prefixes;
  if (request.parent.has_value()) {
    const auto parent = stream.holdings.find(*request.parent);
    if (parent == stream.holdings.end()) {
      result.status = StoreStatus::kUnknownParent;
      return result;
    }
    prefixes.push_back(parent->second.prefix);
  }
  for (const LocalHash local : request.local_hashes) {
    prefixes.push_back(prefixes.empty() ? RootPrefix(local) : ChainPrefix(prefixes.back(), local));
  }
  if (request.parent.has_value()) prefixes.erase(prefixes.begin());

  for (size_t i = 0; i < prefixes.size(); ++i) {
    const EngineHash engine_hash = request.engine_hashes[i];
    auto held = stream.holdings.find(engine_hash);
    if (held != stream.holdings.end() && held->second.prefix != prefixes[i]) {
      Drop(&stream, engine_hash);
      ++result.rebound;
      held = stream.holdings.end();
    }
    if (held == stream.holdings.end()) {
      if (HasCopy(stream, prefixes[i], request.tier)) ++result.renamed;
      held = stream.holdings.emplace(engine_hash, Holding{prefixes[i], {}}).first;
      stream.names.emplace(prefixes[i], engine_hash);
    }
    if (AddCopy(stream.mode, request.tier, &held->second)) {
      ++result.added;
    } else {
      ++result.duplicate;
    }
  }
  return result;
}

AddCopiesResult ReferenceIndex::AddCopies(StreamId stream_id,
                                          absl::Span<const EngineHash> engine_hashes, Tier tier) {
  Stream& stream = Get(stream_id);
  AddCopiesResult result;
  for (const EngineHash engine_hash : engine_hashes) {
    const auto held = stream.holdings.find(engine_hash);
    if (held == stream.holdings.end()) {
      ++result.unknown;
    } else if (AddCopy(stream.mode, tier, &held->second)) {
      ++result.added;
    } else {
      ++result.duplicate;
    }
  }
  return result;
}

RemoveResult ReferenceIndex::Remove(StreamId stream_id, absl::Span<const EngineHash> engine_hashes,
                                    Tier tier) {
  Stream& stream = Get(stream_id);
  RemoveResult result;
  for (const EngineHash engine_hash : engine_hashes) {
    const auto held = stream.holdings.find(engine_hash);
    if (held == stream.holdings.end() || held->second.copies[Index(tier)] == 0) {
      ++result.unknown;
      continue;
    }
    if (--held->second.copies[Index(tier)] > 0) {
      ++result.copies_left;
      continue;
    }
    ++result.removed;
    if (!held->second.AnyCopy()) Drop(&stream, engine_hash);
  }
  return result;
}

uint64_t ReferenceIndex::Clear(StreamId stream_id) {
  Stream& stream = Get(stream_id);
  uint64_t holdings = 0;
  for (const auto& [engine_hash, holding] : stream.holdings) {
    for (const uint32_t copies : holding.copies) holdings += copies > 0;
  }
  stream.holdings.clear();
  stream.names.clear();
  return holdings;
}

uint64_t ReferenceIndex::ClearTier(StreamId stream_id, Tier tier) {
  Stream& stream = Get(stream_id);
  uint64_t holdings = 0;
  std::vector<EngineHash> gone;
  for (auto& [engine_hash, holding] : stream.holdings) {
    holdings += holding.copies[Index(tier)] > 0;
    holding.copies[Index(tier)] = 0;
    if (!holding.AnyCopy()) gone.push_back(engine_hash);
  }
  for (const EngineHash engine_hash : gone) Drop(&stream, engine_hash);
  return holdings;
}

bool ReferenceIndex::Holds(StreamId stream, EngineHash engine_hash) const {
  return Get(stream).holdings.count(engine_hash) > 0;
}

void ReferenceIndex::Match(absl::Span<const PrefixHash> prompt, MatchResult* result) const {
  result->Clear();
  for (const auto& [id, stream] : streams_) {
    StreamMatch match;
    match.stream = id;
    for (const PrefixHash prefix : prompt) {
      const auto [begin, end] = stream.names.equal_range(prefix);
      if (begin == end) break;
      size_t fastest = kTierCount;
      for (auto name = begin; name != end; ++name) {
        const Holding& holding = stream.holdings.at(name->second);
        for (size_t tier = 0; tier < fastest; ++tier) {
          if (holding.copies[tier] > 0) fastest = tier;
        }
      }
      ++match.blocks;
      ++match.blocks_by_tier[fastest];
    }
    if (match.blocks > 0) result->matches.push_back(match);
  }
}

PrefixIndexStats ReferenceIndex::Stats() const {
  PrefixIndexStats stats;
  std::set<PrefixHash> blocks;
  for (const auto& [id, stream] : streams_) {
    ++stats.streams;
    for (const auto& [engine_hash, holding] : stream.holdings) {
      blocks.insert(holding.prefix);
      for (const uint32_t copies : holding.copies) stats.holdings += copies > 0;
    }
  }
  stats.distinct_blocks = blocks.size();
  return stats;
}

std::vector<StreamMatch> SortedMatches(const MatchResult& result) {
  std::vector<StreamMatch> sorted = result.matches;
  std::sort(sorted.begin(), sorted.end(),
            [](const StreamMatch& a, const StreamMatch& b) { return a.stream < b.stream; });
  return sorted;
}

std::string DescribeMatches(const MatchResult& result) {
  std::string text;
  for (const StreamMatch& match : SortedMatches(result)) {
    absl::StrAppend(&text, "stream ", match.stream.value(), ": ", match.blocks, " blocks (");
    for (int tier = 0; tier < kTierCount; ++tier) {
      absl::StrAppend(&text, tier == 0 ? "" : " ", std::string(TierName(static_cast<Tier>(tier))),
                      " ", match.blocks_by_tier[tier]);
    }
    absl::StrAppend(&text, ")\n");
  }
  return text;
}

}  // namespace kvroute
