#include "indexer/index/tables/engine_hash_columns.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "indexer/base/check.h"

namespace kvroute {
namespace {

constexpr uint32_t kAhead = 16;

// use(i) for i in [0, count), fetch(i) some way ahead of it.
template <typename Fetch, typename Use>
void ForEachFetched(uint32_t count, Fetch fetch, Use use) {
  for (uint32_t i = 0; i < std::min(count, kAhead); ++i) fetch(i);
  for (uint32_t i = 0; i < count; ++i) {
    if (i + kAhead < count) fetch(i + kAhead);
    if (!use(i)) return;
  }
}

}  // namespace

EngineHashColumns::~EngineHashColumns() {
  pages_.ForEach([&](uint64_t, const Page& page) { arena_->Free(page.start, page.lines); });
  if (used_ != 0) ReleaseTables();
}

uint64_t* EngineHashColumns::WordOf(const Page& page, uint32_t offset) const {
  const uint32_t line = offset % kPageHashes / kLineHashes;
  if (line - page.first >= page.lines) return nullptr;  // below the first as well
  return Line(page, line) + offset % kLineHashes;
}

uint64_t EngineHashColumns::At(Place place) const {
  const Page* page = pages_.Find(KeyOf(place));
  if (page == nullptr) return 0;
  const uint64_t* word = WordOf(*page, place.offset);
  return word == nullptr ? 0 : *word;
}

Place EngineHashColumns::Find(uint64_t engine) const {
  if (used_ == 0 || engine == 0) return Place{};
  return TableOf(Hash(engine)).FindAsWriter(Hash(engine).fragment(), [&](Place place) {
    return At(place) == engine;
  });
}

uint32_t EngineHashColumns::CountUnknown(absl::Span<const EngineHash> engines) const {
  const auto size = static_cast<uint32_t>(engines.size());
  if (used_ == 0) return size;
  uint32_t unknown = 0;
  ForEachFetched(
      size, [&](uint32_t i) { Prefetch(engines[i].value()); },
      [&](uint32_t i) {
        const bool is_unknown = Find(engines[i].value()).run == 0;
        unknown += is_unknown;
        return is_unknown;
      });
  return unknown;
}

uint32_t EngineHashColumns::CountBackward(Place place, absl::Span<const EngineHash> engines) const {
  const auto most = static_cast<uint32_t>(std::min<size_t>(engines.size(), place.offset + 1u));
  uint32_t count = 0;
  while (count < most) {
    const uint32_t last = place.offset - count;
    const Place at{place.run, static_cast<uint16_t>(last)};
    const Page* page = pages_.Find(KeyOf(at));
    if (page == nullptr) break;
    const uint32_t end = std::min(most, count + last % kPageHashes + 1);
    for (; count < end; ++count) {
      const uint64_t* word = WordOf(*page, place.offset - count);
      if (word == nullptr || *word == 0 || *word != engines[count].value()) return count;
    }
  }
  return count;
}

uint32_t EngineHashColumns::CountForward(Place place, absl::Span<const EngineHash> engines) const {
  const auto most =
      static_cast<uint32_t>(std::min<size_t>(engines.size(), kMaxRunBlocks - place.offset));
  uint32_t count = 0;
  while (count < most) {
    const uint32_t next = place.offset + count;
    const Place at{place.run, static_cast<uint16_t>(next)};
    const Page* page = pages_.Find(KeyOf(at));
    if (page == nullptr) break;
    const uint32_t end = std::min(most, count + kPageHashes - next % kPageHashes);
    for (; count < end; ++count) {
      const uint64_t* word = WordOf(*page, place.offset + count);
      if (word == nullptr || *word == 0 || *word != engines[count].value()) return count;
    }
  }
  return count;
}

BlockRange EngineHashColumns::BlanksAround(Place place, uint32_t most) const {
  const uint32_t least = place.offset - std::min<uint32_t>(most, place.offset);
  const uint32_t limit = std::min(kMaxRunBlocks, place.offset + most + 1);
  uint32_t begin = place.offset + 1u;
  uint32_t end = place.offset;
  if (used_ == 0) return BlockRange{least, limit};
  const auto in_use = [&](const Page& page, uint32_t offset) {
    const uint64_t* word = WordOf(page, offset);
    return word != nullptr && *word != 0;
  };
  while (begin > least) {
    const uint32_t last = begin - 1;
    const Page* page = pages_.Find(KeyOf(Place{place.run, static_cast<uint16_t>(last)}));
    const uint32_t first = std::max(least, last - last % kPageHashes);
    if (page == nullptr) {
      begin = first;
      continue;
    }
    while (begin > first && !in_use(*page, begin - 1)) --begin;
    if (begin > first) break;
  }
  if (begin > place.offset) return BlockRange{place.offset, place.offset};
  while (end < limit) {
    const Page* page = pages_.Find(KeyOf(Place{place.run, static_cast<uint16_t>(end)}));
    const uint32_t behind = std::min(limit, end - end % kPageHashes + kPageHashes);
    if (page == nullptr) {
      end = behind;
      continue;
    }
    while (end < behind && !in_use(*page, end)) ++end;
    if (end < behind) break;
  }
  return BlockRange{begin, end};
}

void EngineHashColumns::Reserve(Page* page, uint32_t first, uint32_t last) {
  const uint32_t old_lines = page->lines;
  const uint32_t old_end = page->first + old_lines;
  if (old_lines != 0) {
    first = std::min<uint32_t>(first, page->first);
    last = std::max(last, old_end - 1);
  }
  const uint32_t lines = last + 1 - first;
  if (lines == old_lines) return;
  if (old_lines == 0 || first < page->first ||
      !arena_->Extend(page->start, old_lines, lines - old_lines)) {
    const Page old = *page;
    page->start = arena_->Allocate(lines);
    page->first = static_cast<uint8_t>(first);
    if (old_lines != 0) {
      std::memcpy(Line(*page, old.first), Line(old, old.first), old_lines * kGranuleBytes);
      arena_->Free(old.start, old_lines);
      std::memset(Line(*page, first), 0, (old.first - first) * kGranuleBytes);
    } else {
      std::memset(Line(*page, first), 0, lines * kGranuleBytes);
    }
  }
  page->lines = static_cast<uint8_t>(lines);
  if (old_lines != 0 && last >= old_end) {
    std::memset(Line(*page, old_end), 0, (last + 1 - old_end) * kGranuleBytes);
  }
}

void EngineHashColumns::Put(Place place, absl::Span<const EngineHash> engines,
                            std::vector<Place>* displaced) {
  if (used_ == 0) InitTables();
  const size_t displaced_before = displaced->size();
  while (!engines.empty()) {
    const size_t count = std::min<size_t>(engines.size(), kPageHashes - place.offset % kPageHashes);
    PutInPage(place, engines.first(count), displaced);
    engines.remove_prefix(count);
    place.offset = static_cast<uint16_t>(place.offset + count);
  }
  // Only now: pages may not move while they are filled.
  for (size_t i = displaced_before; i < displaced->size(); ++i) Trim(KeyOf((*displaced)[i]));
}

void EngineHashColumns::PutInPage(Place place, absl::Span<const EngineHash> engines,
                                  std::vector<Place>* displaced) {
  const auto count = static_cast<uint32_t>(engines.size());
  Page& page = pages_[KeyOf(place)];
  const uint32_t first = place.offset % kPageHashes;
  Reserve(&page, first / kLineHashes, (first + count - 1) / kLineHashes);
  uint64_t* const words = Line(page, first / kLineHashes) + first % kLineHashes;
  std::array<EngineHashTable::FetchedBuckets, kPageHashes> fetched;
  ForEachFetched(
      count, [&](uint32_t i) { fetched[i] = Fetch(engines[i].value()); },
      [&](uint32_t i) {
        const uint64_t engine = engines[i].value();
        KVROUTE_DCHECK(engine != 0 && words[i] == 0);
        Place had;
        const Place at{place.run, static_cast<uint16_t>(place.offset + i)};
        const TableHash hash = Hash(engine);
        if (TableOf(hash).Insert(fetched[i], at) != EngineHashTable::Inserted::kAlone) {
          had = TableOf(hash).FindAsWriter(
              hash.fragment(), [&](Place other) { return other != at && At(other) == engine; });
        }
        words[i] = engine;
        ++page.used;
        ++used_;
        if (had.run == 0) return true;
        TableOf(hash).Erase(fetched[i], had);
        Page& other = *pages_.Find(KeyOf(had));
        *WordOf(other, had.offset) = 0;
        --other.used;
        --used_;
        displaced->push_back(had);
        return true;
      });
}

void EngineHashColumns::Erase(Place place, uint32_t count) {
  while (count > 0) {
    const uint64_t key = KeyOf(place);
    Page& page = *pages_.Find(key);
    const uint32_t first = place.offset % kPageHashes;
    const uint32_t here = std::min(count, kPageHashes - first);
    uint64_t* const words = WordOf(page, place.offset);
    std::array<EngineHashTable::FetchedBuckets, kPageHashes> fetched;
    ForEachFetched(
        here, [&](uint32_t i) { fetched[i] = Fetch(words[i]); },
        [&](uint32_t i) {
          TableOf(Hash(words[i]))
              .Erase(fetched[i], Place{place.run, static_cast<uint16_t>(place.offset + i)});
          return true;
        });
    std::memset(words, 0, here * sizeof(uint64_t));
    page.used = static_cast<uint8_t>(page.used - here);
    used_ -= here;
    Trim(key);
    count -= here;
    place.offset = static_cast<uint16_t>(place.offset + here);
  }
  if (used_ == 0) ReleaseTables();
}

void EngineHashColumns::Trim(uint64_t key) {
  Page* const found = pages_.Find(key);
  if (found == nullptr) return;
  Page& page = *found;
  if (page.used == 0) {
    arena_->Free(page.start, page.lines);
    pages_.Erase(key);
    return;
  }
  const auto blank = [&](uint32_t line) {
    const uint64_t* words = Line(page, line);
    return std::all_of(words, words + kLineHashes, [](uint64_t word) { return word == 0; });
  };
  uint32_t back = 0;
  while (blank(page.first + page.lines - 1u - back)) ++back;
  uint32_t front = 0;
  while (blank(page.first + front)) ++front;
  if (back > 0) arena_->Free(page.start + (page.lines - back), back);
  if (front > 0) arena_->Free(page.start, front);
  page.start += front;
  page.first = static_cast<uint8_t>(page.first + front);
  page.lines = static_cast<uint8_t>(page.lines - front - back);
}

void EngineHashColumns::InitTables() {
  for (uint32_t i = 0; i < kTables; ++i) {
    tables_[i].Init(arena_, reclaimer_, (stagger_ + i * (256 / kTables)) % 256);
  }
}

void EngineHashColumns::ReleaseTables() {
  for (EngineHashTable& table : tables_) table.Release();
}

}  // namespace kvroute
