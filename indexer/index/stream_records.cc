// The part of StreamWriter that goes block by block: aliases of a block, several copies,
// other tiers than the gpu, engine hashes that are bound anew.
#include <algorithm>

#include "indexer/base/check.h"
#include "indexer/index/stream_writer.h"

namespace kvroute {
void StreamWriter::FetchRecords(Place place, uint32_t ahead, uint64_t engine) const {
  records_.Prefetch(engine);
  aliased_.Prefetch(KeyOf(Place{place.run, static_cast<uint16_t>(place.offset + ahead)}));
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
  const bool own = engine != 0 && store_->RunAt(place)->Engine(place.offset) == engine;
  const RunStore::Coverage coverage = store_->Cover(slot_, place, prefix, tier, !own);
  if (coverage == RunStore::Coverage::kGone) return false;
  const bool already = coverage == RunStore::Coverage::kAlready;
  if (already && HasCopyIn(place, tier)) ++result->renamed;
  const bool in_column = !own && !already && engine != 0;
  if (already && HasColumns() && columns_->At(place) != 0) MoveFromColumnToRecord(place);
  if (in_column) {
    Columns().Put(place, {EngineHash(engine)}, &displaced_);
  } else if (!own) {
    if (!AddAlias(place, engine, already)) ++result->rebound;
  } else if (already) {
    PlaceHashes* hashes = aliased_.Find(KeyOf(place));
    KVROUTE_CHECK(hashes != nullptr);  // covered, and not by the run's hash: by an alias
    hashes->runs = true;
  }
  Copies copies{};
  copies[Index(tier)] = 1;
  Write(engine, copies, own || in_column ? Place{} : place);
  AddHoldings(1);
  ++result->added;
  if (already) RefreshTier(place);
  return true;
}

// Who looks at a place looks at all its aliases, so there are few. More are of an engine whose
// hashes say nothing of the content; without one of them less is known to be held, never more.
bool StreamWriter::AddAlias(Place place, uint64_t engine, bool runs_hash_too) {
  const auto [hashes, fresh] = aliased_.TryEmplace(KeyOf(place));
  auto& aliases = hashes->aliases;
  if (fresh) hashes->runs = runs_hash_too;
  const bool crowded = aliases.size() >= kMaxAliases;
  const uint64_t oldest = crowded ? aliases.front() : 0;
  aliases.push_back(engine);  // first: the place is held all the time
  if (crowded) Forget(oldest, place);
  return !crowded;
}

void StreamWriter::MoveFromColumnToRecord(Place place) {
  const uint64_t engine = columns_->At(place);
  columns_->Erase(place, 1);
  aliased_[KeyOf(place)].aliases.push_back(engine);
  const auto [record, fresh] = records_.TryEmplace(engine);
  if (fresh) record->copies = kOneGpuCopy;
  record->alias = place;
}

void StreamWriter::Write(uint64_t engine, const Copies& copies, Place alias) {
  if (alias.run == 0 && copies == kOneGpuCopy) {
    records_.Erase(engine);
  } else {
    records_[engine] = Record{copies, alias};
  }
}

bool StreamWriter::AddCopy(Place place, uint64_t engine, Tier tier, uint32_t more) {
  const Record* record = records_.Find(engine);
  Copies copies = record == nullptr ? kOneGpuCopy : record->copies;
  const Place alias = record == nullptr ? Place{} : record->alias;
  uint16_t& count = copies[Index(tier)];
  const bool first = count == 0;
  if (mode_ == CopyMode::kSet) more = first ? 1 : 0;
  count = static_cast<uint16_t>(std::min<uint64_t>(kMaxCopies, uint64_t{count} + more));
  if (more > 0) Write(engine, copies, alias);
  if (!first || more == 0) return false;
  AddHoldings(1);
  RefreshTier(place);
  return true;
}

void StreamWriter::FetchAliases(absl::Span<const EngineHash> engines) const {
  if (engines.size() > kRecordsAhead) records_.Prefetch(engines[kRecordsAhead].value());
  if (engines.size() <= kRecordsAhead / 2) return;
  const Record* record = records_.Find(engines[kRecordsAhead / 2].value());
  if (record == nullptr || record->alias.run == 0) return;
  aliased_.Prefetch(KeyOf(record->alias));
  __builtin_prefetch(store_->RunAt(record->alias));
}

void StreamWriter::RemoveCopy(uint64_t engine, Tier tier, RemoveResult* result) {
  const Record* record = records_.Find(engine);
  const Place place = Find(engine);
  if (place.run == 0) {
    ++result->unknown;
    return;
  }
  Copies copies = record == nullptr ? kOneGpuCopy : record->copies;
  const Place alias = record == nullptr ? Place{} : record->alias;
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
    records_.Erase(engine);
    DropEngineHash(engine, place);
    return;
  }
  Write(engine, copies, alias);
  RefreshTier(place);
}

void StreamWriter::Forget(uint64_t engine, Place place) {
  int64_t tiers = 1;
  if (const Record* record = records_.Find(engine); record != nullptr) {
    const Copies& copies = record->copies;
    tiers = std::count_if(copies.begin(), copies.end(), [](uint16_t count) { return count > 0; });
    records_.Erase(engine);
  }
  AddHoldings(-tiers);
  DropEngineHash(engine, place);
}

void StreamWriter::DropEngineHash(uint64_t engine, Place place) {
  if (engine != 0 && HasColumns() && columns_->At(place) == engine) columns_->Erase(place, 1);
  if (PlaceHashes* hashes = aliased_.Find(KeyOf(place)); hashes != nullptr) {
    PlaceHashes& left = *hashes;
    const auto alias = std::find(left.aliases.begin(), left.aliases.end(), engine);
    if (alias == left.aliases.end()) {
      left.runs = false;
    } else {
      left.aliases.erase(alias);
    }
    const bool held = left.runs || !left.aliases.empty();
    if (left.aliases.empty()) aliased_.Erase(KeyOf(place));
    if (held) {
      RefreshTier(place);
      return;
    }
  }
  store_->Uncover(slot_, place);
  if (cursor_ == place) cursor_ = Place{};
}

template <typename Visit>
void StreamWriter::ForEachHashOf(Place place, Visit visit) const {
  const auto copies_of = [this](uint64_t engine) {
    const Record* record = records_.Find(engine);
    return record == nullptr ? kOneGpuCopy : record->copies;
  };
  const uint64_t in_column = HasColumns() ? columns_->At(place) : 0;
  if (in_column != 0) visit(copies_of(in_column));
  if (KnowsRunsHash(place)) visit(copies_of(store_->RunAt(place)->Engine(place.offset)));
  const PlaceHashes* hashes = aliased_.Find(KeyOf(place));
  if (hashes == nullptr) return;
  for (const uint64_t alias : hashes->aliases) visit(copies_of(alias));
}

bool StreamWriter::HasCopyIn(Place place, Tier tier) const {
  bool has = false;
  ForEachHashOf(place, [&](const Copies& copies) { has |= copies[Index(tier)] > 0; });
  return has;
}

void StreamWriter::RefreshTier(Place place) {
  uint32_t fastest = kTierCount;
  ForEachHashOf(place, [&](const Copies& copies) {
    for (uint32_t tier = 0; tier < fastest; ++tier) {
      if (copies[tier] > 0) fastest = tier;
    }
  });
  store_->SetTier(slot_, place, static_cast<Tier>(fastest));
}

}  // namespace kvroute
