// The part of StreamWriter that knows what the stream has held longest, and gives it up.
#include <vector>

#include "indexer/index/stream_writer.h"

namespace kvroute {
namespace {

// What a block gives back at least: its two hashes in a run, or its foreign hash. Tables stay as
// large as they are.
constexpr uint64_t kBytesOfBlock = 16;
constexpr uint64_t kBytesOfForeignHash = 8;
// So much work is done at most for one cut: a look at an entry takes a cache miss or three.
constexpr int kMostLooks = 512;

}  // namespace

uint64_t StreamWriter::GrowthBytes(size_t blocks) const {
  return records_.GrowthBytes(blocks) + aliased_.GrowthBytes(blocks);
}

void StreamWriter::Note(uint64_t engine) {
  journal_.Push(engine);
  journal_.Tidy([this](uint64_t old) { return Find(old).run != 0; });
  const std::optional<uint64_t> next = journal_.Next();
  if (!next.has_value()) return;
  store_->PrefetchEngineHash(*next);
  if (HasColumns()) columns_->Prefetch(*next);
}

uint64_t StreamWriter::CutBack(uint64_t bytes, std::optional<EngineHash> spared) {
  const uint64_t before = holdings();
  const Granule spared_run = spared.has_value() ? Find(spared->value()).run : 0;
  uint64_t freed = 0;
  size_t entries = journal_.size();  // each once
  for (int looks = 0; freed < bytes && looks < kMostLooks && entries > 0; ++looks, --entries) {
    const uint64_t engine = *journal_.PopOldest();
    const Place place = Find(engine);
    if (place.run == 0) continue;  // removed meanwhile
    const RunStore::Holding holding = store_->HoldingAt(slot_, place);
    const bool frees = holding.sole || (HasColumns() && columns_->At(place) != 0);
    if (place.run == spared_run || holding.touched || !frees) {
      journal_.Push(engine);  // as if it were new
      continue;
    }
    freed += GiveUp(place, holding.count);
  }
  CountRecords();
  return before - holdings();
}

uint64_t StreamWriter::GiveUp(Place place, uint32_t count) {
  std::vector<EngineHash> plain;
  std::vector<std::pair<uint64_t, Place>> recorded;
  uint64_t freed = 0;
  const auto add = [&](uint64_t engine, Place at) {
    if (records_.Contains(engine)) {
      recorded.emplace_back(engine, at);
    } else {
      plain.push_back(EngineHash(engine));
    }
  };
  for (uint32_t i = 0; i < count; ++i) {
    const Place at{place.run, static_cast<uint16_t>(place.offset + i)};
    const uint64_t in_column = HasColumns() ? columns_->At(at) : 0;
    freed += in_column != 0 ? kBytesOfForeignHash : kBytesOfBlock;
    if (in_column != 0) add(in_column, at);
    if (KnowsRunsHash(at)) add(store_->RunAt(at)->Engine(at.offset), at);
    const PlaceHashes* hashes = aliased_.Find(KeyOf(at));
    if (hashes == nullptr) continue;
    for (const uint64_t alias : hashes->aliases) add(alias, at);
  }
  for (const auto& [engine, at] : recorded) Forget(engine, at);
  Remove(plain, Tier::kGpu);
  return freed;
}

}  // namespace kvroute
