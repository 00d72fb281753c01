#include "indexer/index/prefix_index.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "indexer/base/check.h"
#include "indexer/base/mutex.h"

namespace kvroute {
namespace {

using Copies = std::array<uint16_t, kTierCount>;

struct Holding {
  PrefixHash prefix;
  Copies copies{};
};

struct Stream {
  CopyMode mode = CopyMode::kCounted;
  absl::flat_hash_map<EngineHash, Holding> holdings;
  uint64_t memberships = 0;
};

// A stream's share of a block: how many of its engine hashes hold it, per tier.
struct Holder {
  StreamId stream;
  std::array<uint32_t, kTierCount> names{};
};

size_t Index(Tier tier) {
  KVROUTE_CHECK(tier != Tier::kUnknown);
  return static_cast<size_t>(tier);
}

}  // namespace

// One lock around two flat maps.
class PrefixIndex::Impl {
 public:
  explicit Impl(const PrefixIndexOptions& options) : max_streams_(options.max_streams) {}

  Stream& Get(StreamId id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto found = streams_.find(id);
    KVROUTE_CHECK(found != streams_.end());
    return found->second;
  }

  void AddName(StreamId id, Stream* stream, PrefixHash prefix, size_t tier)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ++stream->memberships;
    std::vector<Holder>& holders = blocks_[prefix];
    for (Holder& holder : holders) {
      if (holder.stream == id) {
        ++holder.names[tier];
        return;
      }
    }
    holders.push_back(Holder{id, {}});
    ++holders.back().names[tier];
  }

  void DropName(StreamId id, Stream* stream, PrefixHash prefix, size_t tier)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    --stream->memberships;
    const auto block = blocks_.find(prefix);
    std::vector<Holder>& holders = block->second;
    for (Holder& holder : holders) {
      if (holder.stream != id) continue;
      --holder.names[tier];
      if (holder.names == std::array<uint32_t, kTierCount>{}) {
        holder = holders.back();
        holders.pop_back();
        if (holders.empty()) blocks_.erase(block);
      }
      return;
    }
  }

  bool AddCopy(StreamId id, Stream* stream, size_t tier, Holding* holding)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    uint16_t& copies = holding->copies[tier];
    if (copies == 0) {
      copies = 1;
      AddName(id, stream, holding->prefix, tier);
      return true;
    }
    if (stream->mode == CopyMode::kCounted && copies < kMaxCopies) ++copies;
    return false;
  }

  void DropHolding(StreamId id, Stream* stream, const Holding& holding)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (size_t tier = 0; tier < kTierCount; ++tier) {
      if (holding.copies[tier] > 0) DropName(id, stream, holding.prefix, tier);
    }
  }

  uint64_t DropAll(StreamId id, Stream* stream) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const uint64_t memberships = stream->memberships;
    for (const auto& [engine_hash, holding] : stream->holdings) DropHolding(id, stream, holding);
    stream->holdings.clear();
    return memberships;
  }

  const size_t max_streams_;
  Mutex mutex_;
  uint32_t next_id_ ABSL_GUARDED_BY(mutex_) = 1;
  absl::flat_hash_map<StreamId, Stream> streams_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<PrefixHash, std::vector<Holder>> blocks_ ABSL_GUARDED_BY(mutex_);
};

PrefixIndex::PrefixIndex(const PrefixIndexOptions& options)
    : impl_(std::make_unique<Impl>(options)) {}
PrefixIndex::~PrefixIndex() = default;

absl::StatusOr<StreamId> PrefixIndex::Open(CopyMode mode) {
  MutexLock lock(&impl_->mutex_);
  if (impl_->streams_.size() >= impl_->max_streams_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the index is limited to ", impl_->max_streams_, " streams"));
  }
  const StreamId id(impl_->next_id_++);
  impl_->streams_[id].mode = mode;
  return id;
}

void PrefixIndex::Close(StreamId id) {
  MutexLock lock(&impl_->mutex_);
  impl_->DropAll(id, &impl_->Get(id));
  impl_->streams_.erase(id);
}

StoreResult PrefixIndex::Store(StreamId id, const StoreRequest& request) {
  KVROUTE_CHECK(request.engine_hashes.size() == request.local_hashes.size());
  const size_t tier = Index(request.tier);
  MutexLock lock(&impl_->mutex_);
  Stream& stream = impl_->Get(id);
  StoreResult result;
  std::optional<PrefixHash> prefix;
  if (request.parent.has_value()) {
    const auto parent = stream.holdings.find(*request.parent);
    if (parent == stream.holdings.end()) {
      result.status = StoreStatus::kUnknownParent;
      return result;
    }
    prefix = parent->second.prefix;
  }
  for (size_t i = 0; i < request.engine_hashes.size(); ++i) {
    const LocalHash local = request.local_hashes[i];
    prefix = prefix.has_value() ? ChainPrefix(*prefix, local) : RootPrefix(local);
    const auto [held, inserted] =
        stream.holdings.try_emplace(request.engine_hashes[i], Holding{*prefix, {}});
    if (!inserted && held->second.prefix != *prefix) {
      impl_->DropHolding(id, &stream, held->second);
      held->second = Holding{*prefix, {}};
      ++result.rebound;
    }
    if (impl_->AddCopy(id, &stream, tier, &held->second)) {
      ++result.added;
    } else {
      ++result.duplicate;
    }
  }
  return result;
}

PrefixIndex::AddCopiesResult PrefixIndex::AddCopies(StreamId id,
                                                    absl::Span<const EngineHash> engine_hashes,
                                                    Tier tier_name) {
  const size_t tier = Index(tier_name);
  MutexLock lock(&impl_->mutex_);
  Stream& stream = impl_->Get(id);
  AddCopiesResult result;
  for (const EngineHash engine_hash : engine_hashes) {
    const auto held = stream.holdings.find(engine_hash);
    if (held == stream.holdings.end()) {
      ++result.unknown;
    } else if (impl_->AddCopy(id, &stream, tier, &held->second)) {
      ++result.added;
    } else {
      ++result.duplicate;
    }
  }
  return result;
}

RemoveResult PrefixIndex::Remove(StreamId id, absl::Span<const EngineHash> engine_hashes,
                                 Tier tier_name) {
  const size_t tier = Index(tier_name);
  MutexLock lock(&impl_->mutex_);
  Stream& stream = impl_->Get(id);
  RemoveResult result;
  for (const EngineHash engine_hash : engine_hashes) {
    const auto held = stream.holdings.find(engine_hash);
    if (held == stream.holdings.end() || held->second.copies[tier] == 0) {
      ++result.unknown;
      continue;
    }
    if (--held->second.copies[tier] > 0) {
      ++result.copies_left;
      continue;
    }
    ++result.removed;
    impl_->DropName(id, &stream, held->second.prefix, tier);
    if (held->second.copies == Copies{}) stream.holdings.erase(held);
  }
  return result;
}

uint64_t PrefixIndex::Clear(StreamId id) {
  MutexLock lock(&impl_->mutex_);
  return impl_->DropAll(id, &impl_->Get(id));
}

bool PrefixIndex::Holds(StreamId id, EngineHash engine_hash) const {
  MutexLock lock(&impl_->mutex_);
  return impl_->Get(id).holdings.contains(engine_hash);
}

void PrefixIndex::Match(absl::Span<const PrefixHash> prompt, MatchResult* result) const {
  result->Clear();
  MutexLock lock(&impl_->mutex_);
  for (uint32_t depth = 0; depth < prompt.size(); ++depth) {
    const auto block = impl_->blocks_.find(prompt[depth]);
    if (block == impl_->blocks_.end()) return;
    bool alive = false;
    for (const Holder& holder : block->second) {
      if (depth == 0) result->matches.push_back(StreamMatch{holder.stream, 0, {}});
      for (StreamMatch& match : result->matches) {
        if (match.stream != holder.stream || match.blocks != depth) continue;
        const auto fastest = std::find_if(holder.names.begin(), holder.names.end(),
                                          [](uint32_t names) { return names > 0; });
        ++match.blocks;
        ++match.blocks_by_tier[static_cast<size_t>(fastest - holder.names.begin())];
        alive = true;
        break;
      }
    }
    if (!alive) return;
  }
}

PrefixIndexStats PrefixIndex::Stats() const {
  MutexLock lock(&impl_->mutex_);
  PrefixIndexStats stats;
  stats.streams = impl_->streams_.size();
  stats.distinct_blocks = impl_->blocks_.size();
  stats.runs = impl_->blocks_.size();
  stats.bytes = impl_->blocks_.capacity() * (sizeof(PrefixHash) + sizeof(std::vector<Holder>) + 1);
  for (const auto& [id, stream] : impl_->streams_) {
    stats.holdings += stream.memberships;
    stats.bytes += stream.holdings.capacity() * (sizeof(EngineHash) + sizeof(Holding) + 1) +
                   stream.memberships * sizeof(Holder);
  }
  return stats;
}

}  // namespace kvroute
