#include "indexer/index/stream_writer.h"

#include <algorithm>

#include "indexer/base/check.h"

namespace kvroute {
namespace {

constexpr uint32_t kPrefetchAhead = 16;
constexpr uint32_t kRecordsAhead = 8;
constexpr size_t kPlainLookahead = kMaxRunBlocks;

uint32_t Index(Tier tier) { return static_cast<uint32_t>(tier); }

}  // namespace

bool StreamWriter::OwnName(Place place) const {
  if (aliased_.empty()) return true;
  const auto names = aliased_.find(KeyOf(place));
  return names == aliased_.end() || names->second.own;
}

Place StreamWriter::Find(uint64_t engine) const {
  if (!records_.empty()) {
    const auto record = records_.find(engine);
    if (record != records_.end() && record->second.alias.run != 0) return record->second.alias;
  }
  if (cursor_.run != 0 && store_->RunAt(cursor_)->Engine(cursor_.offset) == engine &&
      OwnName(cursor_)) {
    return cursor_;
  }
  return store_->Locate(slot_, engine, [this](Place place) { return OwnName(place); });
}

uint32_t StreamWriter::PlainCount(absl::Span<const EngineHash> engines) const {
  if (store_->twins_seen()) return Find(engines[0].value()).run == 0 ? 1 : 0;
  if (records_.empty()) return static_cast<uint32_t>(engines.size());
  uint32_t count = 0;
  const size_t most = std::min(engines.size(), kPlainLookahead);
  while (count < most && !records_.contains(engines[count].value())) ++count;
  return count;
}

StoreResult StreamWriter::Store(const StoreRequest& request) {
  StoreResult result;
  Place last;
  uint64_t last_prefix = 0;
  if (request.parent.has_value()) {
    last = Find(request.parent->value());
    if (last.run == 0) {
      result.status = StoreStatus::kUnknownParent;
      return result;
    }
    last_prefix = store_->RunAt(last)->Prefix(last.offset);
  }
  prefixes_.clear();
  if (request.parent.has_value()) {
    ChainLocals(PrefixHash(last_prefix), request.local_hashes, &prefixes_);
  } else {
    ChainLocals(request.local_hashes, &prefixes_);
  }
  for (size_t at = 0; at < prefixes_.size();) {
    const absl::Span<const EngineHash> engines = request.engine_hashes.subspan(at);
    const absl::Span<const PrefixHash> prefixes = absl::MakeConstSpan(prefixes_).subspan(at);
    const RunStore::StoreArgs args{slot_,   request.tier,       last, last_prefix, prefixes,
                                   engines, PlainCount(engines)};
    twins_.clear();
    const RunStore::Stretch stretch = store_->Store(args, &twins_);
    uint32_t stored = 0;
    if (stretch.outcome == RunStore::Outcome::kBlocked) {
      Forget(engines[0].value(), Find(engines[0].value()));
      ++result.rebound;
    } else if (stretch.outcome == RunStore::Outcome::kAdded) {
      stored = stretch.count;
      Added(stretch, engines, request.tier, &result);
    } else {
      stored = StoreNamed(stretch, prefixes, engines, request.tier, &result);
    }
    if (stored == 0) continue;
    at += stored;
    last = Place{stretch.place.run, static_cast<uint16_t>(stretch.place.offset + stored - 1)};
    last_prefix = prefixes_[at - 1].value();
    cursor_ = last;  // at once: the run that the old one was in may just have moved
  }
  CountRecords();
  return result;
}

void StreamWriter::Added(const RunStore::Stretch& stretch, absl::Span<const EngineHash> engines,
                         Tier tier, StoreResult* result) {
  result->added += stretch.count;
  AddHoldings(stretch.count);
  if (tier != Tier::kGpu) {
    for (uint32_t i = 0; i < stretch.count; ++i) {
      records_[engines[i].value()].copies[Index(tier)] = 1;
    }
  }
  // An engine hash that already had a place: if that was this stream's, earlier in this request or
  // before, the new block takes it over.
  for (const auto& [engine, place] : twins_) {
    if (!OwnName(place)) continue;
    const auto names = aliased_.find(KeyOf(place));
    if (names != aliased_.end()) {
      names->second.own = false;
      RefreshTier(place);
    } else if (!store_->UncoverIfCovered(slot_, place)) {
      continue;
    }
    if (cursor_ == place) cursor_ = Place{};
    AddHoldings(-1);
    ++result->rebound;
  }
}

uint32_t StreamWriter::StoreNamed(const RunStore::Stretch& stretch,
                                  absl::Span<const PrefixHash> prefixes,
                                  absl::Span<const EngineHash> engines, Tier tier,
                                  StoreResult* result) {
  const bool nothing_new = stretch.outcome == RunStore::Outcome::kHeld && mode_ == CopyMode::kSet &&
                           tier == Tier::kGpu && records_.empty() && aliased_.empty();
  const Run* run = store_->RunAt(stretch.place);
  for (uint32_t i = 0; i < stretch.count; ++i) {
    const Place place{stretch.place.run, static_cast<uint16_t>(stretch.place.offset + i)};
    if (!nothing_new && i + kRecordsAhead < stretch.count) {
      FetchRecords(place, kRecordsAhead, engines[i + kRecordsAhead].value());
    }
    const uint64_t engine = engines[i].value();
    if (nothing_new && run->Engine(place.offset) == engine) {
      ++result->duplicate;
      continue;
    }
    const uint32_t rebound = result->rebound;
    if (!StoreName(place, prefixes[i].value(), engine, tier, result)) return i;
    if (result->rebound != rebound)
      return i + 1;  // the rest of the stretch may be covered no longer
  }
  return stretch.count;
}

void StreamWriter::FetchRecords(Place place, uint32_t ahead, uint64_t engine) const {
  records_.prefetch(engine);
  aliased_.prefetch(KeyOf(Place{place.run, static_cast<uint16_t>(place.offset + ahead)}));
  store_->PrefetchName(engine);
}

bool StreamWriter::StoreName(Place place, uint64_t prefix, uint64_t engine, Tier tier,
                             StoreResult* result) {
  const Place held = Find(engine);
  if (held == place) {
    if (AddCopy(place, engine, tier)) {
      ++result->added;
    } else {
      ++result->duplicate;
    }
    return true;
  }
  if (held.run != 0) {
    Forget(engine, held);
    ++result->rebound;
  }
  const bool own = store_->RunAt(place)->Engine(place.offset) == engine;
  const RunStore::Coverage coverage = store_->Cover(slot_, place, prefix, tier, !own);
  if (coverage == RunStore::Coverage::kGone) return false;
  const bool already = coverage == RunStore::Coverage::kAlready;
  if (!own) {
    const auto [names, fresh] = aliased_.try_emplace(KeyOf(place));
    if (fresh) names->second.own = already;
    names->second.aliases.push_back(engine);
  } else if (already) {
    aliased_.at(KeyOf(place)).own = true;
  }
  Copies copies{};
  copies[Index(tier)] = 1;
  Write(engine, copies, own ? Place{} : place);
  AddHoldings(1);
  ++result->added;
  if (already) RefreshTier(place);
  return true;
}

void StreamWriter::Write(uint64_t engine, const Copies& copies, Place alias) {
  if (alias.run == 0 && copies == kOneGpuCopy) {
    records_.erase(engine);
  } else {
    records_[engine] = Record{copies, alias};
  }
}

bool StreamWriter::AddCopy(Place place, uint64_t engine, Tier tier) {
  const auto record = records_.find(engine);
  Copies copies = record == records_.end() ? kOneGpuCopy : record->second.copies;
  const Place alias = record == records_.end() ? Place{} : record->second.alias;
  uint16_t& count = copies[Index(tier)];
  if (count > 0) {
    if (mode_ == CopyMode::kSet || count == kMaxCopies) return false;
    ++count;
    Write(engine, copies, alias);
    return false;
  }
  count = 1;
  Write(engine, copies, alias);
  AddHoldings(1);
  RefreshTier(place);
  return true;
}

PrefixIndex::AddCopiesResult StreamWriter::AddCopies(absl::Span<const EngineHash> engine_hashes,
                                                     Tier tier) {
  PrefixIndex::AddCopiesResult result;
  for (const EngineHash engine_hash : engine_hashes) {
    const Place place = Find(engine_hash.value());
    if (place.run == 0) {
      ++result.unknown;
    } else if (AddCopy(place, engine_hash.value(), tier)) {
      ++result.added;
    } else {
      ++result.duplicate;
    }
  }
  CountRecords();
  return result;
}

RemoveResult StreamWriter::Remove(absl::Span<const EngineHash> engine_hashes, Tier tier) {
  RemoveResult result;
  const auto own_name = [this](Place place) { return OwnName(place); };
  const size_t size = engine_hashes.size();
  size_t named = 0;  // how far the names' and the runs' lines are on their way
  size_t run_lines = 0;
  uint32_t last_stretch = 0;
  for (size_t at = 0; at < size;) {
    if (last_stretch == 1) {  // else they are neighbours, who need no lookup
      for (named = std::max(named, at); named < std::min(size, at + kPrefetchAhead); ++named) {
        store_->PrefetchName(engine_hashes[named].value());
      }
      for (run_lines = std::max(run_lines, at); run_lines < std::min(size, at + kPrefetchAhead / 2);
           ++run_lines) {
        store_->PrefetchRunOf(engine_hashes[run_lines].value());
      }
    }
    const uint64_t engine = engine_hashes[at].value();
    if (!aliased_.empty() || tier != Tier::kGpu ||
        (!records_.empty() && records_.contains(engine))) {
      FetchAliases(engine_hashes.subspan(at));
      RemoveCopy(engine, tier, &result);
      ++at;
      continue;
    }
    size_t plain = size - at;
    if (!records_.empty()) {
      for (plain = 1; at + plain < size && !records_.contains(engine_hashes[at + plain].value());) {
        ++plain;
      }
    }
    last_stretch =
        store_->Remove(slot_, cursor_, engine_hashes.subspan(at, plain), own_name, &cursor_);
    if (last_stretch == 0) {
      ++result.unknown;
      ++at;
      continue;
    }
    result.removed += last_stretch;
    AddHoldings(-int64_t{last_stretch});
    at += last_stretch;
  }
  CountRecords();
  return result;
}

void StreamWriter::FetchAliases(absl::Span<const EngineHash> engines) const {
  if (engines.size() > kRecordsAhead) records_.prefetch(engines[kRecordsAhead].value());
  if (engines.size() <= kRecordsAhead / 2) return;
  const auto record = records_.find(engines[kRecordsAhead / 2].value());
  if (record == records_.end() || record->second.alias.run == 0) return;
  aliased_.prefetch(KeyOf(record->second.alias));
  __builtin_prefetch(store_->RunAt(record->second.alias));
}

void StreamWriter::RemoveCopy(uint64_t engine, Tier tier, RemoveResult* result) {
  const auto record = records_.find(engine);
  const Place place = Find(engine);
  if (place.run == 0) {
    ++result->unknown;
    return;
  }
  Copies copies = record == records_.end() ? kOneGpuCopy : record->second.copies;
  const Place alias = record == records_.end() ? Place{} : record->second.alias;
  uint16_t& count = copies[Index(tier)];
  if (count == 0) {
    ++result->unknown;
    return;
  }
  if (--count > 0) {
    ++result->copies_left;
    Write(engine, copies, alias);
    return;
  }
  ++result->removed;
  AddHoldings(-1);
  if (copies == Copies{}) {
    records_.erase(engine);
    DropName(engine, place);
    return;
  }
  Write(engine, copies, alias);
  RefreshTier(place);
}

void StreamWriter::Forget(uint64_t engine, Place place) {
  const auto record = records_.find(engine);
  int64_t tiers = 1;
  if (record != records_.end()) {
    const Copies& copies = record->second.copies;
    tiers = std::count_if(copies.begin(), copies.end(), [](uint16_t count) { return count > 0; });
    records_.erase(record);
  }
  AddHoldings(-tiers);
  DropName(engine, place);
}

void StreamWriter::DropName(uint64_t engine, Place place) {
  const auto names = aliased_.find(KeyOf(place));
  if (names != aliased_.end()) {
    PlaceNames& left = names->second;
    const auto alias = std::find(left.aliases.begin(), left.aliases.end(), engine);
    if (alias == left.aliases.end()) {
      left.own = false;
    } else {
      left.aliases.erase(alias);
    }
    const bool held = left.own || !left.aliases.empty();
    if (left.aliases.empty()) aliased_.erase(names);
    if (held) {
      RefreshTier(place);
      return;
    }
  }
  store_->Uncover(slot_, place);
  if (cursor_ == place) cursor_ = Place{};
}

void StreamWriter::RefreshTier(Place place) {
  uint32_t fastest = kTierCount;
  const auto consider = [&](uint64_t engine) {
    const auto record = records_.find(engine);
    const Copies copies = record == records_.end() ? kOneGpuCopy : record->second.copies;
    for (uint32_t tier = 0; tier < fastest; ++tier) {
      if (copies[tier] > 0) fastest = tier;
    }
  };
  if (OwnName(place)) consider(store_->RunAt(place)->Engine(place.offset));
  const auto names = aliased_.find(KeyOf(place));
  if (names != aliased_.end()) {
    for (const uint64_t alias : names->second.aliases) consider(alias);
  }
  store_->SetTier(slot_, place, static_cast<Tier>(fastest));
}

void StreamWriter::Restart(Slot slot) {
  slot_ = slot;
  cursor_ = Place{};
  decltype(records_)().swap(records_);
  decltype(aliased_)().swap(aliased_);
  holdings_.store(0, std::memory_order_relaxed);
  CountRecords();
}

void StreamWriter::CountRecords() {
  record_bytes_.store(records_.capacity() * (sizeof(uint64_t) + sizeof(Record) + 1) +
                          aliased_.capacity() * (sizeof(uint64_t) + sizeof(PlaceNames) + 1) +
                          prefixes_.capacity() * sizeof(PrefixHash),
                      std::memory_order_relaxed);
}

}  // namespace kvroute
