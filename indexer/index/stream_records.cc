// The part of StreamWriter that goes block by block: aliases of a block, several copies,
// other tiers than the gpu, engine hashes that are bound anew.
#include <algorithm>

#include "indexer/index/stream_writer.h"

namespace kvroute {
void StreamWriter::FetchRecords(Place place, uint32_t ahead, uint64_t engine) const {
  records_.prefetch(engine);
  aliased_.prefetch(KeyOf(Place{place.run, static_cast<uint16_t>(place.offset + ahead)}));
  store_->PrefetchEngineHash(engine);
  if (HasColumns()) columns_->Prefetch(engine);
}

bool StreamWriter::StoreBlock(Place place, uint64_t prefix, uint64_t engine, Tier tier,
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
  const bool in_column = !own && !already && engine != 0;
  if (already && HasColumns() && columns_->At(place) != 0) MoveFromColumnToRecord(place);
  if (in_column) {
    Columns().Put(place, {EngineHash(engine)}, &displaced_);
  } else if (!own) {
    const auto [hashes, fresh] = aliased_.try_emplace(KeyOf(place));
    if (fresh) hashes->second.runs = already;
    hashes->second.aliases.push_back(engine);
  } else if (already) {
    aliased_.at(KeyOf(place)).runs = true;
  }
  Copies copies{};
  copies[Index(tier)] = 1;
  Write(engine, copies, own || in_column ? Place{} : place);
  AddHoldings(1);
  ++result->added;
  if (already) RefreshTier(place);
  return true;
}

void StreamWriter::MoveFromColumnToRecord(Place place) {
  const uint64_t engine = columns_->At(place);
  columns_->Erase(place, 1);
  aliased_[KeyOf(place)].aliases.push_back(engine);
  records_.try_emplace(engine, Record{kOneGpuCopy, Place{}}).first->second.alias = place;
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
    DropEngineHash(engine, place);
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
  DropEngineHash(engine, place);
}

void StreamWriter::DropEngineHash(uint64_t engine, Place place) {
  if (engine != 0 && HasColumns() && columns_->At(place) == engine) columns_->Erase(place, 1);
  const auto hashes = aliased_.find(KeyOf(place));
  if (hashes != aliased_.end()) {
    PlaceHashes& left = hashes->second;
    const auto alias = std::find(left.aliases.begin(), left.aliases.end(), engine);
    if (alias == left.aliases.end()) {
      left.runs = false;
    } else {
      left.aliases.erase(alias);
    }
    const bool held = left.runs || !left.aliases.empty();
    if (left.aliases.empty()) aliased_.erase(hashes);
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
  const uint64_t in_column = HasColumns() ? columns_->At(place) : 0;
  if (in_column != 0) consider(in_column);
  if (KnowsRunsHash(place)) consider(store_->RunAt(place)->Engine(place.offset));
  const auto hashes = aliased_.find(KeyOf(place));
  if (hashes != aliased_.end()) {
    for (const uint64_t alias : hashes->second.aliases) consider(alias);
  }
  store_->SetTier(slot_, place, static_cast<Tier>(fastest));
}

}  // namespace kvroute
