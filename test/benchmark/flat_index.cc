#include "test/benchmark/flat_index.h"

#include <algorithm>

#include "absl/status/status.h"

namespace kvroute {

FlatIndex::FlatIndex(size_t max_streams)
    : shards_(std::make_unique<Shard[]>(256)), streams_(max_streams + 1) {}

absl::StatusOr<StreamId> FlatIndex::Open(CopyMode mode) {
  const uint32_t id = next_++;
  if (id >= streams_.size()) return absl::ResourceExhaustedError("max_streams");
  streams_[id] = std::make_unique<Stream>();
  streams_[id]->mode = mode;
  return StreamId(id);
}

void FlatIndex::Close(StreamId stream) {
  Clear(stream);
  streams_[stream.value()].reset();
}

StoreResult FlatIndex::Store(StreamId id, const StoreRequest& request) {
  Stream& stream = *streams_[id.value()];
  const auto tier = static_cast<size_t>(request.tier);
  StoreResult result;
  std::optional<PrefixHash> prefix;
  if (request.parent.has_value()) {
    const auto parent = stream.blocks.find(*request.parent);
    if (parent == stream.blocks.end()) {
      result.status = StoreStatus::kUnknownParent;
      return result;
    }
    prefix = parent->second;
  }
  for (size_t i = 0; i < request.engine_hashes.size(); ++i) {
    const LocalHash local = request.local_hashes[i];
    prefix = prefix.has_value() ? ChainPrefix(*prefix, local) : RootPrefix(local);
    const auto [stored, fresh] = stream.blocks.try_emplace(request.engine_hashes[i], *prefix);
    if (!fresh && stored->second != *prefix) {
      DropAll(id, stored->second);
      stored->second = *prefix;
      ++result.rebound;
    }
    Shard& shard = ShardOf(*prefix);
    MutexLock lock(&shard.mutex);
    Holders& holders = shard.blocks[*prefix];
    auto holder = std::find_if(holders.begin(), holders.end(),
                               [&](const Holder& h) { return h.stream == id.value(); });
    if (holder == holders.end()) {
      holders.push_back(Holder{static_cast<uint32_t>(id.value()), {}});
      holder = holders.end() - 1;
    }
    uint8_t& copies = holder->copies[tier];
    if (copies == 0) {
      copies = 1;
      ++result.added;
    } else {
      if (stream.mode == CopyMode::kCounted && copies < 255) ++copies;
      ++result.duplicate;
    }
  }
  return result;
}

RemoveResult FlatIndex::Remove(StreamId id, absl::Span<const EngineHash> engine_hashes, Tier tier) {
  Stream& stream = *streams_[id.value()];
  RemoveResult result;
  for (const EngineHash engine_hash : engine_hashes) {
    const auto stored = stream.blocks.find(engine_hash);
    if (stored == stream.blocks.end()) {
      ++result.unknown;
      continue;
    }
    Shard& shard = ShardOf(stored->second);
    MutexLock lock(&shard.mutex);
    const auto block = shard.blocks.find(stored->second);
    Holders& holders = block->second;
    const auto holder = std::find_if(holders.begin(), holders.end(),
                                     [&](const Holder& h) { return h.stream == id.value(); });
    uint8_t& copies = holder->copies[static_cast<size_t>(tier)];
    if (copies == 0) {
      ++result.unknown;
    } else if (--copies > 0) {
      ++result.copies_left;
    } else {
      ++result.removed;
      if (holder->copies != Copies{}) continue;
      *holder = holders.back();
      holders.pop_back();
      if (holders.empty()) shard.blocks.erase(block);
      stream.blocks.erase(stored);
    }
  }
  return result;
}

uint64_t FlatIndex::DropAll(StreamId id, PrefixHash prefix) {
  Shard& shard = ShardOf(prefix);
  MutexLock lock(&shard.mutex);
  const auto block = shard.blocks.find(prefix);
  if (block == shard.blocks.end()) return 0;
  Holders& holders = block->second;
  uint64_t dropped = 0;
  for (Holder& holder : holders) {
    if (holder.stream != id.value()) continue;
    for (const uint8_t copies : holder.copies) dropped += copies > 0;
    holder = holders.back();
    holders.pop_back();
    break;
  }
  if (holders.empty()) shard.blocks.erase(block);
  return dropped;
}

uint64_t FlatIndex::Clear(StreamId id) {
  Stream& stream = *streams_[id.value()];
  uint64_t dropped = 0;
  for (const auto& [engine_hash, prefix] : stream.blocks) dropped += DropAll(id, prefix);
  stream.blocks.clear();
  return dropped;
}

void FlatIndex::Match(absl::Span<const PrefixHash> prompt, MatchResult* result) const {
  result->Clear();
  static thread_local std::vector<size_t> alive, still;
  alive.clear();
  for (uint32_t depth = 0; depth < prompt.size(); ++depth) {
    const Shard& shard = ShardOf(prompt[depth]);
    MutexLock lock(&shard.mutex);
    const auto block = shard.blocks.find(prompt[depth]);
    if (block == shard.blocks.end()) return;
    still.clear();
    if (depth == 0) {
      for (const Holder& holder : block->second) {
        alive.push_back(result->matches.size());
        result->matches.push_back(StreamMatch{StreamId(holder.stream), 0, {}});
      }
    }
    for (const size_t at : alive) {
      StreamMatch& match = result->matches[at];
      for (const Holder& holder : block->second) {
        if (holder.stream != match.stream.value()) continue;
        size_t fastest = 0;
        while (holder.copies[fastest] == 0) ++fastest;
        ++match.blocks;
        ++match.blocks_by_tier[fastest];
        still.push_back(at);
        break;
      }
    }
    alive.swap(still);
    if (alive.empty()) return;
  }
}

PrefixIndexStats FlatIndex::Stats() const {
  PrefixIndexStats stats;
  stats.bytes = 256 * sizeof(Shard);
  for (size_t i = 0; i < 256; ++i) {
    MutexLock lock(&shards_[i].mutex);
    stats.distinct_blocks += shards_[i].blocks.size();
    stats.bytes += shards_[i].blocks.capacity() * (sizeof(PrefixHash) + sizeof(Holders) + 1);
    for (const auto& [prefix, holders] : shards_[i].blocks) {
      for (const Holder& holder : holders) {
        stats.holdings += static_cast<uint64_t>(std::count_if(
            holder.copies.begin(), holder.copies.end(), [](uint8_t copies) { return copies > 0; }));
      }
      if (holders.size() > 2) stats.bytes += holders.capacity() * sizeof(Holder);
    }
  }
  stats.runs = stats.distinct_blocks;
  for (const auto& stream : streams_) {
    if (stream == nullptr) continue;
    ++stats.streams;
    stats.bytes += stream->blocks.capacity() * (sizeof(EngineHash) + sizeof(PrefixHash) + 1);
  }
  return stats;
}

}  // namespace kvroute
