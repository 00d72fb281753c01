#include "indexer/index/stream_writer.h"

#include <algorithm>

#include "indexer/base/check.h"

namespace kvroute {
namespace {

constexpr size_t kPlainLookahead = kMaxRunBlocks;
constexpr size_t kLeastLookahead = 16;
// Of an event of so few blocks the lines that their engine hashes go to are fetched before the
// parent is looked for: of a longer one they are fetched in time.
constexpr size_t kSmallEvent = 8;
constexpr uint32_t kStaggerStep = 97;  // streams opened one after the other grow apart

}  // namespace

EngineHashColumns& StreamWriter::Columns() {
  if (columns_ == nullptr) {
    columns_ = store_->NewColumns(static_cast<uint32_t>(id_.value() * kStaggerStep % 256));
  }
  return *columns_;
}

bool StreamWriter::KnowsRunsHash(Place place) const {
  if (HasColumns() && columns_->At(place) != 0) return false;
  if (aliased_.empty()) return true;
  const PlaceHashes* hashes = aliased_.Find(KeyOf(place));
  return hashes == nullptr || hashes->runs;
}

BlockRange StreamWriter::KnowsRunsHashAround(Place place, size_t most) const {
  if (!aliased_.empty()) {
    return KnowsRunsHash(place) ? BlockRange{place.offset, place.offset + 1u} : BlockRange{};
  }
  if (!HasColumns()) return BlockRange{0, kMaxRunBlocks};
  return columns_->BlanksAround(place,
                                static_cast<uint32_t>(std::min<size_t>(most, kMaxRunBlocks)));
}

Place StreamWriter::Find(uint64_t engine) const {
  if (!records_.empty()) {
    const Record* record = records_.Find(engine);
    if (record != nullptr && record->alias.run != 0) return record->alias;
  }
  if (cursor_.run != 0 && store_->RunAt(cursor_)->Engine(cursor_.offset) == engine &&
      KnowsRunsHash(cursor_)) {
    return cursor_;
  }
  if (HasColumns()) {
    const Place in_column = columns_->Find(engine);
    if (in_column.run != 0) return in_column;
  }
  return store_->Locate(slot_, engine, [this](Place place) { return KnowsRunsHash(place); });
}

uint32_t StreamWriter::PlainCount(absl::Span<const EngineHash> engines, size_t lookahead) const {
  if (records_.empty() && !HasColumns()) return static_cast<uint32_t>(engines.size());
  absl::Span<const EngineHash> some = engines.first(std::min(engines.size(), lookahead));
  if (HasColumns()) some = some.first(columns_->CountUnknown(some));
  if (records_.empty()) return static_cast<uint32_t>(some.size());
  uint32_t count = 0;
  while (count < some.size() && !records_.Contains(some[count].value())) ++count;
  return count;
}

StoreResult StreamWriter::Store(const StoreRequest& request) {
  StoreResult result;
  Place last;
  uint64_t last_prefix = 0;
  if (request.engine_hashes.size() <= kSmallEvent) {
    for (const EngineHash engine : request.engine_hashes) {
      store_->PrefetchEngineHash(engine.value());
    }
  }
  if (request.parent.has_value()) {
    last = Find(request.parent->value());
    if (last.run == 0) {
      result.status = StoreStatus::kUnknownParent;
      return result;
    }
    last_prefix = store_->RunAt(last)->Prefix(last.offset);
  }
  prefixes_.resize(request.local_hashes.size());
  size_t lookahead = kPlainLookahead;
  for (size_t at = 0; at < prefixes_.size();) {
    const absl::Span<const EngineHash> engines = request.engine_hashes.subspan(at);
    const absl::Span<const LocalHash> locals = request.local_hashes.subspan(at);
    const absl::Span<PrefixHash> prefixes = absl::MakeSpan(prefixes_).subspan(at);
    const bool root = at == 0 && !request.parent.has_value();
    prefixes[0] = root ? RootPrefix(locals[0]) : ChainPrefix(PrefixHash(last_prefix), locals[0]);
    const RunStore::StoreArgs args{slot_,  request.tier, last,    last_prefix,
                                   locals, prefixes,     engines, PlainCount(engines, lookahead)};
    blanks_.clear();
    const RunStore::Stretch stretch = store_->Store(args, &blanks_);
    uint32_t stored = 0;
    if (stretch.outcome == RunStore::Outcome::kBlocked) {
      Forget(engines[0].value(), Find(engines[0].value()));
      ++result.rebound;
    } else if (stretch.outcome == RunStore::Outcome::kAdded) {
      stored = stretch.count;
      Added(stretch, engines, request.tier, &result);
    } else {
      if (stretch.outcome == RunStore::Outcome::kForeign && request.tier == Tier::kGpu) {
        stored = StoreForeign(stretch, prefixes, engines, args.plain, &result);
      }
      if (stored == 0) stored = StoreOneByOne(stretch, prefixes, engines, request.tier, &result);
    }
    if (stored == 0) continue;
    // Where stretches are short, looking much further than they go costs more than they do.
    lookahead = std::clamp<size_t>(size_t{4} * stored, kLeastLookahead, kPlainLookahead);
    const bool goes_on = stretch.place.run == last.run && stretch.place.offset == last.offset + 1;
    if (has_journal_ && !goes_on && stretch.outcome != RunStore::Outcome::kHeld) {
      Note(engines[0].value());
    }
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
  shares_hashes_ |= store_->RunAt(stretch.place)->holder_count.load(std::memory_order_relaxed) > 1;
  AddHoldings(stretch.count);
  if (tier != Tier::kGpu) {
    for (uint32_t i = 0; i < stretch.count; ++i) {
      records_[engines[i].value()].copies[Index(tier)] = 1;
    }
  }
  for (const RunStore::Blank& blank : blanks_) {
    StoreBlank(stretch, blank, engines[blank.index].value(), tier, result);
  }
}

void StreamWriter::StoreBlank(const RunStore::Stretch& stretch, const RunStore::Blank& blank,
                              uint64_t engine, Tier tier, StoreResult* result) {
  const Place place{stretch.place.run, static_cast<uint16_t>(stretch.place.offset + blank.index)};
  const auto lost = [&] {
    AddHoldings(-1);
    ++result->rebound;
  };
  // Behind it in its own run is only what came later in the same stretch: that has the hash now.
  if (blank.twin.run == place.run && blank.twin.offset > place.offset) {
    store_->Uncover(slot_, place);
    return lost();
  }
  if (engine == 0) {  // the blank of a column
    if (const Place held = Find(engine); held.run != 0) {
      Forget(engine, held);
      ++result->rebound;
    }
    aliased_[KeyOf(place)].aliases.push_back(engine);
    Copies copies{};
    copies[Index(tier)] = 1;
    return Write(engine, copies, place);
  }
  if (DropByRunsHash(blank.twin)) lost();
  displaced_.clear();
  Columns().Put(place, {EngineHash(engine)}, &displaced_);
  for (const Place earlier : displaced_) {  // in the same stretch
    store_->Uncover(slot_, earlier);
    lost();
  }
}

bool StreamWriter::DropByRunsHash(Place place) {
  if (!KnowsRunsHash(place)) return false;
  PlaceHashes* hashes = aliased_.Find(KeyOf(place));
  if (hashes != nullptr) {
    hashes->runs = false;
    RefreshTier(place);
  } else if (!store_->UncoverIfCovered(slot_, place)) {
    return false;
  }
  if (cursor_ == place) cursor_ = Place{};
  return true;
}

uint32_t StreamWriter::StoreForeign(const RunStore::Stretch& stretch,
                                    absl::Span<const PrefixHash> prefixes,
                                    absl::Span<const EngineHash> engines, uint32_t plain,
                                    StoreResult* result) {
  const Run* run = store_->RunAt(stretch.place);
  const uint32_t most = std::min(stretch.count, plain);
  for (uint32_t i = 0; i < std::min(most, kPrefetchAhead); ++i) {
    store_->PrefetchEngineHash(engines[i].value());
  }
  uint32_t count = 0;
  for (; count < most; ++count) {
    if (count + kPrefetchAhead < most) {
      store_->PrefetchEngineHash(engines[count + kPrefetchAhead].value());
    }
    const uint64_t engine = engines[count].value();
    if (engine == 0 || run->Engine(stretch.place.offset + count) == engine) break;
    const auto own = [this](Place place) { return KnowsRunsHash(place); };
    if (store_->Locate(slot_, engine, own).run != 0) break;
  }
  if (count > 0) count = store_->CoverStretch(slot_, stretch.place, prefixes.first(count));
  if (count == 0) return 0;
  displaced_.clear();
  Columns().Put(stretch.place, engines.first(count), &displaced_);
  AddHoldings(count);
  result->added += count;
  // The same engine hash twice in these blocks.
  for (const Place place : displaced_) {
    store_->Uncover(slot_, place);
    AddHoldings(-1);
    ++result->rebound;
  }
  return count;
}

uint32_t StreamWriter::StoreOneByOne(const RunStore::Stretch& stretch,
                                     absl::Span<const PrefixHash> prefixes,
                                     absl::Span<const EngineHash> engines, Tier tier,
                                     StoreResult* result) {
  const bool nothing_new = stretch.outcome == RunStore::Outcome::kHeld && mode_ == CopyMode::kSet &&
                           tier == Tier::kGpu && records_.empty() && aliased_.empty();
  const bool columns = HasColumns();
  const Run* run = store_->RunAt(stretch.place);
  for (uint32_t i = 0; i < stretch.count; ++i) {
    const Place place{stretch.place.run, static_cast<uint16_t>(stretch.place.offset + i)};
    if (!nothing_new && i + kRecordsAhead < stretch.count) {
      FetchRecords(place, kRecordsAhead, engines[i + kRecordsAhead].value());
    }
    const uint64_t engine = engines[i].value();
    if (nothing_new) {
      const uint64_t in_column = columns ? columns_->At(place) : 0;
      if ((in_column != 0 ? in_column : run->Engine(place.offset)) == engine) {
        ++result->duplicate;
        continue;
      }
    }
    const uint32_t rebound = result->rebound;
    if (!StoreBlock(place, prefixes[i].value(), engine, tier, result)) return i;
    if (result->rebound != rebound)
      return i + 1;  // the rest of the stretch may be covered no longer
  }
  return stretch.count;
}

// What a small number stands for may be anything: it is no digest.
uint32_t StreamWriter::Adopt(EngineHash engine_hash, std::vector<EngineHash>* adopted) {
  constexpr uint64_t kLeastDigest = uint64_t{1} << 32;
  const uint64_t engine = engine_hash.value();
  if (!shares_hashes_ || engine < kLeastDigest) return 0;
  const Place last = store_->LocateAnyones(engine);
  if (last.run == 0) return 0;
  const Run* run = store_->RunAt(last);
  uint32_t count = 0;
  for (uint16_t offset = 0; offset <= last.offset; ++offset) {
    const uint64_t own = run->Engine(offset);
    if (own < kLeastDigest) break;
    if (Find(own).run != 0) continue;
    StoreResult result;
    if (!StoreBlock(Place{last.run, offset}, run->Prefix(offset), own, Tier::kGpu, &result)) break;
    adopted->push_back(EngineHash(own));
    ++count;
  }
  CountRecords();
  return count;
}

AddCopiesResult StreamWriter::AddCopies(absl::Span<const EngineHash> engine_hashes, Tier tier,
                                        uint32_t copies) {
  AddCopiesResult result;
  for (const EngineHash engine_hash : engine_hashes) {
    const Place place = Find(engine_hash.value());
    if (place.run == 0) {
      ++result.unknown;
    } else if (AddCopy(place, engine_hash.value(), tier, copies)) {
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
  const size_t size = engine_hashes.size();
  size_t fetched = 0;  // how far the tables' and the runs' lines are on their way
  size_t run_lines = 0;
  uint32_t last_stretch = 0;
  // Up to here none has a record. That stays so: a removal makes no records but for its own hash.
  size_t plain_end = 0;
  for (size_t at = 0; at < size;) {
    if (last_stretch == 1) {  // else they are neighbours, who need no lookup
      for (fetched = std::max(fetched, at); fetched < std::min(size, at + kPrefetchAhead);
           ++fetched) {
        store_->PrefetchEngineHash(engine_hashes[fetched].value());
        if (HasColumns()) columns_->Prefetch(engine_hashes[fetched].value());
      }
      for (run_lines = std::max(run_lines, at); run_lines < std::min(size, at + kPrefetchAhead / 2);
           ++run_lines) {
        store_->PrefetchRunOf(engine_hashes[run_lines].value());
      }
    }
    const uint64_t engine = engine_hashes[at].value();
    if (tier != Tier::kGpu) {
      plain_end = at;
    } else if (records_.empty()) {
      plain_end = size;
    } else {
      plain_end = std::max(plain_end, at);
      const size_t known = std::min(size, at + kPlainLookahead);
      while (plain_end < known && !records_.Contains(engine_hashes[plain_end].value())) ++plain_end;
    }
    const size_t plain = plain_end - at;
    const absl::Span<const EngineHash> engines = engine_hashes.subspan(at, plain);
    last_stretch = plain > 0 ? RemoveForeign(engines) : 0;
    if (last_stretch == 0 && (plain == 0 || !aliased_.empty())) {
      FetchAliases(engine_hashes.subspan(at));
      RemoveCopy(engine, tier, &result);
      ++at;
      continue;
    }
    if (last_stretch == 0) {
      const auto own = [&](Place place) { return KnowsRunsHashAround(place, engines.size()); };
      last_stretch = store_->Remove(slot_, cursor_, engines, own, &cursor_);
    }
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

uint32_t StreamWriter::RemoveForeign(absl::Span<const EngineHash> engines) {
  if (!HasColumns() || engines[0].value() == 0) return 0;
  Place place;
  if (cursor_.run != 0) {
    const uint64_t in_column = columns_->At(cursor_);
    if (in_column == engines[0].value()) {
      place = cursor_;
    } else if (in_column == 0 && aliased_.empty() &&
               store_->RunAt(cursor_)->Engine(cursor_.offset) == engines[0].value()) {
      return 0;  // it knows it by the run's hash, without a look at the table
    }
  }
  if (place.run == 0) place = columns_->Find(engines[0].value());
  if (place.run == 0) return 0;
  uint32_t count = columns_->CountBackward(place, engines);
  if (count == 1) {
    count = columns_->CountForward(place, engines);
  } else {
    place.offset = static_cast<uint16_t>(place.offset - (count - 1));
  }
  columns_->Erase(place, count);
  store_->UncoverStretch(slot_, place, count, &cursor_);
  return count;
}

void StreamWriter::Restart(Slot slot) {
  slot_ = slot;
  cursor_ = Place{};
  shares_hashes_ = false;
  records_ = Records();
  aliased_ = Aliased();
  holdings_.store(0, std::memory_order_relaxed);
  columns_.reset();
  journal_.Clear();
  CountRecords();
}

void StreamWriter::CountRecords() {
  const uint64_t bytes =
      (columns_ == nullptr ? 0 : sizeof(EngineHashColumns) + columns_->HeapBytes()) +
      records_.Bytes() + aliased_.Bytes() + prefixes_.capacity() * sizeof(PrefixHash) +
      journal_.HeapBytes();
  const uint64_t before = RecordBytes();
  if (bytes == before) return;
  budget_->Charge(static_cast<int64_t>(bytes - before));
  record_bytes_.store(bytes, std::memory_order_relaxed);
}

}  // namespace kvroute
